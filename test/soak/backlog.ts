import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { memory } from '../census.ts'
import { openTeam, type SoakTeam, type StoreName } from './team.ts'

const usage = `node test/soak/backlog.ts [options]

Sends messages to an actor that takes none for now, and then lets it handle them. Its mailbox holds some in memory, the rest waits in
the table: memory is bounded, nothing is lost, nothing comes twice, and each sender is heard in its order.

  --messages <n>      how many (default 1000000)
  --store <kind>      embedded or postgres, which is the server of TROUPE_TEST_DATABASE_URL (default embedded)
  --durability <kind> of the slow actor: transaction or async (default transaction)
  --mailbox <n>       how many it holds in memory (default 1000)
  --rss <MB>          how much the process may hold above what it holds at the start (default 500)
  --help

Exit code 1: something was lost or doubled, came out of order, or took too much memory.
`

const senders = ['flood-1', 'flood-2', 'flood-3', 'flood-4'] as const
/** Messages of one turn, and turns of one sender that wait. */
const burst = 500
const ahead = 4
type Options = {
  readonly messages: number
  readonly store: StoreName
  readonly durability: Durability
  readonly mailbox: number
  readonly rss: number
}
type Durability = 'transaction' | 'async'
type Count = { readonly heard: number; readonly wrong: number; readonly next: Readonly<Record<string, number>> }

process.exitCode = await main()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      messages: { type: 'string', default: '1000000' },
      store: { type: 'string', default: 'embedded' },
      durability: { type: 'string', default: 'transaction' },
      mailbox: { type: 'string', default: '1000' },
      rss: { type: 'string', default: '500' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    print(usage)
    return 0
  }
  const options: Options = {
    messages: Math.ceil(countOf('messages', values.messages) / (senders.length * burst)) * senders.length * burst,
    store: oneOf('store', values.store, ['embedded', 'postgres']),
    durability: oneOf('durability', values.durability, ['transaction', 'async']),
    mailbox: countOf('mailbox', values.mailbox),
    rss: countOf('rss', values.rss),
  }
  const { durability, mailbox, store } = options
  await using team = await openTeam({
    store,
    patience: 3_600_000,
    agents: [
      { id: 'slow', type: 'tally', durability, mailbox, turnTimeout: '12h' },
      { id: 'keeper', type: 'witness' },
      ...senders.map((id) => ({ id, type: 'flood' })),
    ],
  })
  return await run(team, options)
}

async function run(team: SoakTeam, options: Options): Promise<number> {
  const { messages, durability, rss: mayGrow, mailbox } = options
  const folder = await mkdtemp(join(tmpdir(), 'troupe-backlog-'))
  const gate = join(folder, 'gate')
  const watch = watchMemory(team)
  try {
    await team.troupe.send('slow', 'wait', gate)
    print(`${JSON.stringify(options)}\n`)
    const filled = await timed(() => fill(team, messages))
    const largest = watch.report('filled')
    print(`sent in ${filled} s: ${Math.round(messages / filled)} messages/s\n`)
    const told = team.next('turn:committed', ({ id, type }) => id === 'keeper' && type === 'keep')
    await writeFile(gate, '')
    print(`handled in ${await timed(() => told)} s\n`)
    const { rss } = watch.report('drained')
    const [count] = (await team.troupe.ask('keeper', 'read')) as Count[]
    const rows = await team.query(`select status, count(*) from agent_deliveries where agent_id = 'slow' group by 1 order by 1`)
    print(`${JSON.stringify({ count, rows })}\n`)
    const faults = [
      ...(count?.heard === messages && count.wrong === 0 ? [] : [`heard ${count?.heard} of ${messages}, ${count?.wrong} out of order`]),
      ...(rows.every(([status]) => status === 'done') ? [] : ['not all deliveries are done']),
      ...(rss - watch.first <= mayGrow ? [] : [`${rss} MB, ${watch.first} at the start`]),
      // A commit under way may put a few more.
      ...(largest.mailbox <= mailbox + 10_000 ? [] : [`${largest.mailbox} messages of "${durability}" in memory`]),
    ]
    for (const fault of faults) print(`WRONG ${fault}\n`)
    print(faults.length === 0 ? 'nothing lost, nothing twice, memory bounded\n' : '')
    return faults.length === 0 ? 0 : 1
  } finally {
    watch.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Lets all senders send their part, each a few turns at a time. */
async function fill(team: SoakTeam, messages: number): Promise<void> {
  const each = messages / senders.length
  const send = async (from: string) => {
    let first = 0
    const next = async () => {
      while (first < each) {
        const body = { to: 'slow', first, count: burst, of: messages, tell: 'keeper' }
        first += burst
        await team.troupe.ask(from, 'send', body, { timeout: 600_000, from: 'driver' })
      }
    }
    await Promise.all(Array.from({ length: ahead }, next))
  }
  await Promise.all(senders.map(send))
}

type Largest = { readonly rss: number; readonly heap: number; readonly mailbox: number }

/** Looks each second at what the process holds. */
function watchMemory({ troupe }: SoakTeam) {
  const first = memory().rss
  let largest: Largest = { rss: 0, heap: 0, mailbox: 0 }
  let looks = 0
  const timer = setInterval(() => {
    const { rss, heapUsed } = process.memoryUsage()
    const agents = troupe.list()
    const mailbox = agents.find(({ id }) => id === 'slow')?.mailbox ?? 0
    const threads = agents.reduce((sum, { memory: held = 0 }) => sum + held, 0)
    const now = { rss: inMegabytes(rss), heap: inMegabytes(heapUsed), threads: inMegabytes(threads), mailbox }
    largest = {
      rss: Math.max(largest.rss, now.rss),
      heap: Math.max(largest.heap, now.heap),
      mailbox: Math.max(largest.mailbox, mailbox),
    }
    looks += 1
    if (looks % 10 === 0) print(`  ${JSON.stringify(now)}\n`)
  }, 1_000)
  return {
    first,
    report(when: string): Largest {
      print(`${when}: ${first} MB at the start, at most ${JSON.stringify(largest)}\n`)
      return largest
    },
    stop: () => clearInterval(timer),
  }
}

function inMegabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return Math.round((performance.now() - began) / 100) / 10
}

function countOf(name: string, text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count <= 0) throw new Error(`--${name}: expected a whole number above 0, found "${text}"`)
  return count
}

function oneOf<Value extends string>(name: string, text: string, values: readonly Value[]): Value {
  const found = values.find((value) => value === text)
  if (found === undefined) throw new Error(`--${name}: expected ${values.join(' or ')}, found "${text}"`)
  return found
}

function print(text: string): void {
  process.stdout.write(text)
}
