import { parseArgs } from 'node:util'
import { type Census, census, memory } from '../census.ts'
import { openTeam, type SoakTeam } from './team.ts'

const usage = `node test/soak/restarts.ts [options]

Crashes the agents of a team again and again. In the end the process has as many listeners, handles, file descriptors and threads
as after the first hundred restarts, and its memory is bounded.

  --crashes <n>   how often (default 1000)
  --store <kind>  embedded or postgres, which is the server of TROUPE_TEST_DATABASE_URL (default embedded)
  --help

Exit code 1: something has grown.
`

/** MB: what later restarts may add. Threads that have ended leave something in the allocator's cache, which later ones use again. */
const mayGrow = { heap: 8, rss: 128 } as const
const warmUp = 100
const ids = ['r-1', 'r-2', 'r-3', 'r-4'] as const

process.exitCode = await main()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      crashes: { type: 'string', default: '1000' },
      store: { type: 'string', default: 'embedded' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    print(usage)
    return 0
  }
  const { store } = values
  const crashes = Number(values.crashes)
  if (!Number.isInteger(crashes) || crashes <= warmUp) throw new Error(`--crashes: expected a whole number above ${warmUp}`)
  if (store !== 'embedded' && store !== 'postgres') throw new Error('--store: expected embedded or postgres')
  const policy = { type: 'counter', maxAttempts: 1, budget: 1_000_000, backoff: { first: 0, max: 0 } }
  await using team = await openTeam({ store, agents: ids.map((id) => ({ id, ...policy })) })
  return await measure(team, crashes)
}

async function measure(team: SoakTeam, crashes: number): Promise<number> {
  await crashAll(team, warmUp)
  const before = await atRest(team)
  const began = performance.now()
  const times: number[] = []
  for (let done = warmUp; done < crashes; done += warmUp) {
    times.push(...(await crashAll(team, Math.min(warmUp, crashes - done))))
    print(`${Math.min(crashes, done + warmUp)} restarts: ${JSON.stringify({ ...census(), ...memory() })}\n`)
  }
  const seconds = (performance.now() - began) / 1_000
  const after = await atRest(team)
  const sorted = times.toSorted((one, other) => one - other)
  const part = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  print(
    `from the message that crashes it to the next incarnation: p50 ${part(0.5)} ms, p99 ${part(0.99)} ms, ${Math.round(seconds)} s in all\n`,
  )
  const grown = faultsOf(before, after)
  for (const fault of grown) print(`GROWN ${fault}\n`)
  print(grown.length === 0 ? 'nothing has grown\n' : '')
  return grown.length === 0 ? 0 : 1
}

type Rest = Census & ReturnType<typeof memory>

/** What there is when nothing is going on but one thread that stands by. */
async function atRest(team: SoakTeam): Promise<Rest> {
  for (const id of ids) await team.troupe.ask(id, 'read', null, { from: 'census' })
  let rest = { ...census(), ...memory() }
  // A thread that stands by may still be starting, one that has crashed may still be ending: the same three times is rest.
  for (let same = 0; same < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    const next = { ...census(), ...memory() }
    const isSame = next.handles === rest.handles && next.descriptors === rest.descriptors && next.threads === rest.threads
    same = isSame ? same + 1 : 0
    rest = next
  }
  print(`at rest: ${JSON.stringify(rest)}\n`)
  return rest
}

function faultsOf(before: Rest, after: Rest): string[] {
  const most: Rest = { ...before, heap: before.heap + mayGrow.heap, rss: before.rss + mayGrow.rss }
  const names = Object.keys(before) as (keyof Rest)[]
  return names.filter((name) => after[name] > most[name]).map((name) => `${name}: ${before[name]} before, ${after[name]} after`)
}

/** Crashes all agents side by side; gives how long each one was away, in ms. */
async function crashAll(team: SoakTeam, crashes: number): Promise<number[]> {
  const crash = async (id: string) => {
    const times: number[] = []
    for (let time = 0; time < crashes / ids.length; time++) {
      const up = team.next('child:started', (event) => event.id === id)
      const began = performance.now()
      await team.troupe.send(id, 'crash')
      await up
      times.push(performance.now() - began)
    }
    return times
  }
  return (await Promise.all(ids.map(crash))).flat()
}

function print(text: string): void {
  process.stdout.write(text)
}
