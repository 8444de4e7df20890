import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { AgentSpec } from '../src/core/agent.ts'
import { agentDefaults } from '../src/core/agent.ts'
import { defaults } from '../src/core/spec.ts'
import type { Child } from '../src/host/child.ts'
import { writeShell } from '../src/host/shell.ts'
import { createSupervisor, type Launched } from '../src/host/supervisor.ts'
import { createThreads, type Threads } from '../src/host/threads.ts'
import { createEars } from './ears.ts'
import { timeSpawn } from './raw.ts'
import { type Figure, say } from './report.ts'
import type { Sizes } from './runtime.ts'
import { actors, openDatabase, openStage, type Stage, tireless } from './stage.ts'
import { median, quantile, spread } from './statistics.ts'

/** A memory limit of its own makes an agent's thread one that no standby can be. */
const withoutStandby = { memory: { hard: agentDefaults.memory.hard - 2 ** 20 } } as const
const perRound = 20
/** Ms in which the next message comes before the crash, and the standby after the last one. */
const pause = 200

type Kind = 'bare' | 'pausedBare' | 'warm' | 'cold' | 'embeddedWarm' | 'embeddedCold' | 'serverWarm'

/** From a crash in the thread to the first message that the replacement handles. */
export async function measureCrashes({ seconds, rounds }: Sizes): Promise<Figure[]> {
  say('crash: bare threads, the supervisor alone, then everything on both stores')
  const count = Math.max(5, Math.round(perRound * Math.min(1, seconds / 5)))
  const agents = [
    { id: 'warm', type: 'fragile', maxAttempts: 1, ...tireless },
    { id: 'cold', type: 'fragile', maxAttempts: 1, ...tireless, ...withoutStandby },
  ]
  await using database = await openDatabase()
  await using embedded = await openStage(agents)
  const shell = await writeShell(join(embedded.folder, 'code'))
  await using server = await openStage(agents, { databaseUrl: database.url })
  const times: Record<Kind, number[][]> = {
    bare: [],
    pausedBare: [],
    warm: [],
    cold: [],
    embeddedWarm: [],
    embeddedCold: [],
    serverWarm: [],
  }
  for (let round = 0; round < rounds; round++) {
    times.bare.push(await repeat(count, timeSpawn))
    times.pausedBare.push(await repeat(count, () => setTimeout(pause).then(timeSpawn)))
    times.warm.push(await timeSupervised(count, 1, shell))
    times.cold.push(await timeSupervised(count, 0, shell))
    times.embeddedWarm.push(await repeat(count, () => timeWhole(embedded, 'warm')))
    times.embeddedCold.push(await repeat(count, () => timeWhole(embedded, 'cold')))
    times.serverWarm.push(await repeat(count, () => timeWhole(server, 'warm')))
  }
  return describe(times)
}

function describe(times: Readonly<Record<Kind, number[][]>>): Figure[] {
  const against = (kind: Kind) => median(times[kind].flat()) / median(times.pausedBare.flat())
  const note = `after ${pause} ms of rest like the crashes: the machine itself has to wake up`
  const name = 'crash to the next message'
  return [
    figure('bare thread, spawn to its first message, one after the other, p50', times.bare, 0.5),
    figure(`bare thread, spawn to its first message, after ${pause} ms of rest, p50`, times.pausedBare, 0.5),
    { ...figure(`${name}, threads and supervisor, warm, p50`, times.warm, 0.5), aim: { max: 10 } },
    { ...figure(`${name}, threads and supervisor, warm, p99`, times.warm, 0.99), aim: { max: 25 } },
    figure(`${name}, threads and supervisor, cold, p50`, times.cold, 0.5),
    { name: `${name}, threads and supervisor, cold, against a bare spawn`, value: against('cold'), unit: 'times', aim: { max: 1.3 }, note },
    figure(`${name}, with lease and commits, embedded store, warm, p50`, times.embeddedWarm, 0.5),
    figure(`${name}, with lease and commits, embedded store, warm, p99`, times.embeddedWarm, 0.99),
    figure(`${name}, with lease and commits, embedded store, cold, p50`, times.embeddedCold, 0.5),
    figure(`${name}, with lease and commits, PostgreSQL, warm, p50`, times.serverWarm, 0.5),
  ]
}

function figure(name: string, values: readonly number[][], share: number): Figure {
  return { name, value: quantile(values.flat(), share), unit: 'ms', note: `${values.flat().length} times; ${spread(values.map(median))}` }
}

async function repeat(count: number, measure: () => Promise<number>): Promise<number[]> {
  const times: number[] = []
  for (let nth = 0; nth < count; nth++) times.push(await measure())
  return times
}

/** With everything: the crash is committed, the lease is taken anew, the mailbox is read again. The next message waits already. */
async function timeWhole({ troupe, heard, event }: Stage, id: string): Promise<number> {
  const crash = heard('crash')
  const hello = heard('hello')
  const committed = event((one) => one.name === 'turn:committed' && one.id === id)
  await troupe.send(id, 'crash', pause, { from: 'one' })
  await troupe.send(id, 'hello', null, { from: 'other' }) // of the same sender it would wait for the verdict on the crash
  const took = (await hello).at - (await crash).at
  await committed
  return took
}

/** Without store and leases: what supervisor and threads take. */
async function timeSupervised(count: number, standbys: number, shell: string): Promise<number[]> {
  const ears = createEars()
  const threads = createThreads({ emit() {}, log: ears.log.lines, shell, standbys })
  const launched: Child[] = []
  const supervisor = createSupervisor<AgentSpec>({
    team: { id: 'bench', strategy: 'one_for_one', intensity: { max: Number.POSITIVE_INFINITY, within: 60_000 }, children: [spec] },
    launch: (one, incarnation) => launch(threads, one, incarnation, launched),
    emit() {},
  })
  await supervisor.start()
  const times: number[] = []
  for (let nth = 0; nth < count; nth++) {
    await standbysUp(threads)
    const marks = Promise.all([ears.heard('crash'), ears.heard('hello')])
    launched.at(-1)?.post(turnOf('crash', 1))
    const [crash, hello] = await marks
    times.push(hello.at - crash.at)
  }
  await supervisor.stop()
  await threads.close()
  return times
}

const spec: AgentSpec = {
  ...defaults.child,
  ...agentDefaults,
  id: 'fragile',
  team: 'bench',
  type: 'fragile',
  file: join(actors, 'fragile.ts'),
  args: '{}',
  version: '1',
  backoff: { ...defaults.child.backoff, first: 0 },
  budget: Number.POSITIVE_INFINITY,
}

/** A thread whose first message goes to it as soon as it has loaded. */
function launch(threads: Threads, one: AgentSpec, incarnation: number, launched: Child[]): Launched {
  const child = threads.start(one, incarnation)
  launched.push(child)
  const ready = child.load({ state: null, sql: [] }).then(() => {
    if (incarnation > 1) child.post(turnOf('hello', 1))
    return 'ready' as const
  })
  return { begun: Promise.resolve(), ready, exited: child.exited, stop: child.stop, kill: () => child.kill() }
}

function turnOf(type: string, turn: number) {
  const message = { source: 'message', id: randomUUID(), type, body: String(pause), from: 'bench', attempt: 1, priority: 'normal' } as const
  return { kind: 'turn', actor: spec.id, turn, ...message } as const
}

async function standbysUp(threads: Threads): Promise<void> {
  for (const limit = performance.now() + 10_000; threads.stats().standbys.some(({ isUp }) => !isUp); ) {
    if (performance.now() > limit) throw new Error('The standby did not come up')
    await setTimeout(5)
  }
}
