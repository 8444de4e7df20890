import { parseArgs } from 'node:util'
import { type Figure, isMet, printTable } from './report.ts'
import { benchRuntime, runtimeOptions } from './runtime.ts'
import { benchStore, storeOptions } from './store.ts'

const help = `Usage: npm run bench -- store [options]
       npm run bench -- runtime [options]

  store    what the schema and the stores do in a second, among a million ended jobs

  --rows <n>     ended jobs that are kept (1000000)
  --backlog <n>  pending jobs in the latency comparison (1000000)
  --seconds <n>  for each measurement of throughput (5)
  --hold <n>     seconds during which a transaction is held open (30)
  --only <list>  of floor, jobs, latency, held, messages, postgres, embedded

  runtime  what agents cost and how fast they are, beside bare threads in the same run

  --seconds <n>  for each measurement of throughput (5); with less than 5 also fewer crashes, strokes and messages
  --rounds <n>   ours and the bare thing by turns, so many times (5)
  --agents <n>   how many are started at once (100)
  --only <list>  of crash, memory, schemas, start, mailbox, ask, savina, turns

  --json         one line of JSON on stdout

Both need a PostgreSQL server as superuser (runtime not for start and mailbox): TROUPE_TEST_DATABASE_URL, or one is started by
.ci/postgres. Other work on the machine makes every number smaller; compare with the floor, which the same run measured.`

const benches = { store: benchStore, runtime: benchRuntime } as const

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { ...storeOptions, ...runtimeOptions, json: { type: 'boolean' }, help: { type: 'boolean' } },
    allowPositionals: true,
  })
  if (values.help || positionals.length === 0) {
    console.log(help)
    return 0
  }
  const name = positionals.join(' ')
  if (name !== 'store' && name !== 'runtime') {
    console.error(`There is no benchmark ${JSON.stringify(name)}.\n\n${help}`)
    return 2
  }
  const figures: Figure[] = await benches[name](values)
  if (values.json) console.log(JSON.stringify(figures.map((figure) => ({ ...figure, met: isMet(figure) }))))
  else printTable(figures)
  return 0
}

process.exitCode = await main()
