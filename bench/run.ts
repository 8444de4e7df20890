import { parseArgs } from 'node:util'
import { type Figure, isMet, printTable } from './report.ts'
import { benchStore, storeOptions } from './store.ts'

const help = `Usage: npm run bench -- store [options]

  store   what the schema and the stores do in a second, among a million ended jobs

  --rows <n>     ended jobs that are kept (1000000)
  --backlog <n>  pending jobs in the latency comparison (1000000)
  --seconds <n>  for each measurement of throughput (5)
  --hold <n>     seconds during which a transaction is held open (30)
  --only <list>  of floor, jobs, latency, held, messages, postgres, embedded
  --json         one line of JSON on stdout

It needs a PostgreSQL server as superuser: TROUPE_TEST_DATABASE_URL, or it starts one of its own by .ci/postgres.
Other work on the machine makes every number smaller; compare with the floor, which the same run measured.`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { ...storeOptions, json: { type: 'boolean' }, help: { type: 'boolean' } },
    allowPositionals: true,
  })
  if (values.help || positionals.length === 0) {
    console.log(help)
    return 0
  }
  if (positionals.join() !== 'store') {
    console.error(`There is no benchmark ${JSON.stringify(positionals.join(' '))}.\n\n${help}`)
    return 2
  }
  const figures: Figure[] = await benchStore(values)
  if (values.json) console.log(JSON.stringify(figures.map((figure) => ({ ...figure, met: isMet(figure) }))))
  else printTable(figures)
  return 0
}

process.exitCode = await main()
