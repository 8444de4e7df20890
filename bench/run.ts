import { parseArgs } from 'node:util'
import { benchAnomaly } from './anomaly.ts'
import { benchBoot } from './boot.ts'
import { benchCompute } from './compute.ts'
import { benchHttp } from './http.ts'
import { type Figure, isMet, printTable } from './report.ts'
import { benchRuntime, runtimeOptions } from './runtime.ts'
import { benchStore, storeOptions } from './store.ts'

const help = `Usage: npm run bench -- store [options]
       npm run bench -- runtime [options]
       npm run bench -- http [options]
       npm run bench -- compute [options]
       npm run bench -- anomaly
       npm run bench -- boot [options]

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

  http     the shared HTTP pool beside a private undici Agent in each thread

  --seconds <n>  for each measurement of throughput (5)
  --rounds <n>   ours and theirs by turns, so many times (5)

  compute  what a task costs beside what it does, and what a busy pool costs those who answer

  --seconds <n>  for each measurement, roughly (5)
  --rounds <n>   ours and a bare pool by turns, so many times (5)

  boot     how soon the default team is ready, and its memory after some work

  --minutes <n>  how long it works (10)
  --config <f>   another team (config/troupe.yaml)

  anomaly  AnomalyHunter's detector on the Numenta Anomaly Benchmark's series, by its standard profile

  --json         one line of JSON on stdout

store and runtime need a PostgreSQL server as superuser (runtime not for start and mailbox): TROUPE_TEST_DATABASE_URL, or one is started by
.ci/postgres. Other work on the machine makes every number smaller; compare with the floor, which the same run measured.`

const benches = {
  store: benchStore,
  runtime: benchRuntime,
  http: benchHttp,
  compute: benchCompute,
  boot: benchBoot,
  anomaly: benchAnomaly,
} as const

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      ...storeOptions,
      ...runtimeOptions,
      minutes: { type: 'string', default: '10' },
      config: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
    allowPositionals: true,
  })
  if (values.help || positionals.length === 0) {
    console.log(help)
    return 0
  }
  const name = positionals.join(' ')
  if (!isBench(name)) {
    console.error(`There is no benchmark ${JSON.stringify(name)}.\n\n${help}`)
    return 2
  }
  const figures: Figure[] = await benches[name](values)
  if (values.json) console.log(JSON.stringify(figures.map((figure) => ({ ...figure, met: isMet(figure) }))))
  else printTable(figures)
  return 0
}

function isBench(name: string): name is keyof typeof benches {
  return Object.hasOwn(benches, name)
}

process.exitCode = await main()
