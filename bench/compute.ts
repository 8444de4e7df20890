import { availableParallelism, cpus, loadavg } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { Piscina } from 'piscina'
import { agentDefaults } from '../src/core/agent.ts'
import { startThread, type Thread } from '../src/host/thread.ts'
import { type ComputeService, createCompute } from '../src/services/compute.ts'
import { type Figure, say } from './report.ts'
import { openStage, type Stage } from './stage.ts'
import { median, quantile, spread } from './statistics.ts'

const work = new URL('tasks/work.ts', import.meta.url)
const caller = { team: 'bench', agent: 'bench', type: 'bench', source: 'message', id: '', name: '' } as const
const never = new AbortController().signal
/** A round's first tasks start the thread and compile the code. */
const warmUp = 200

type Way = 'bare' | 'service' | 'actor'
type Load = 'idle' | 'nice' | 'equal'

/** Measures what a task costs beside what it does, and what busy threads cost those who answer. */
export async function benchCompute(options: { readonly seconds?: string; readonly rounds?: string }): Promise<Figure[]> {
  const [seconds, rounds] = [Number(options.seconds), Number(options.rounds)]
  say(`${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)} before it began; Node ${process.versions.node}`)
  return [...(await measureTrips(Math.ceil(seconds * 400), rounds)), ...(await measurePings(Math.ceil(seconds * 200), rounds))]
}

async function measureTrips(count: number, rounds: number): Promise<Figure[]> {
  say(`round trips of ${count} tasks that do nothing: a bare pool, the service, an actor`)
  const bare = new Piscina({
    filename: work.pathname,
    name: 'nothing',
    minThreads: 1,
    maxThreads: 1,
    niceIncrement: 10,
    atomics: 'disabled',
    execArgv: [],
  })
  const service = openService(10)
  const stage = await openStage([{ id: 'reckoner', type: 'reckoner' }])
  const times: Record<Way, number[][]> = { bare: [], service: [], actor: [] }
  for (let round = 0; round < rounds; round++) {
    times.bare.push(await timeEach(count, () => bare.run(null)))
    times.service.push(await timeEach(count, () => run(service, 'nothing')))
    times.actor.push(await timeActor(stage, count))
  }
  await Promise.all([bare.destroy(), service.close(), stage[Symbol.asyncDispose]()])
  const against = (way: Way) => median(times[way].flat()) / median(times.bare.flat())
  return [
    ...figures('task round trip, a bare Piscina', times.bare),
    ...figures('task round trip, the service', times.service),
    ...figures('task round trip, from an actor', times.actor),
    { name: 'the service against a bare Piscina', value: against('service'), unit: 'times' },
    { name: 'an actor against a bare Piscina', value: against('actor'), unit: 'times' },
  ]
}

async function timeEach(count: number, once: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  for (let n = 0; n < count + warmUp; n++) {
    const began = performance.now()
    await once()
    if (n >= warmUp) times.push(performance.now() - began)
  }
  return times
}

async function timeActor({ troupe }: Stage, count: number): Promise<number[]> {
  const times = (await troupe.ask('reckoner', 'reckon', { count: count + warmUp }, { timeout: 120_000 })) as number[]
  return times.slice(warmUp)
}

async function measurePings(count: number, rounds: number): Promise<Figure[]> {
  say(`${count} pings to an actor's thread while the pool is idle, busy, and busy at the actors' own niceness`)
  const thread = await openThread()
  const services = { nice: openService(10), equal: openService(0) }
  const times: Record<Load, number[][]> = { idle: [], nice: [], equal: [] }
  for (let round = 0; round < rounds; round++) {
    times.idle.push(await timePings(thread, count))
    times.nice.push(await whileBusy(services.nice, () => timePings(thread, count)))
    times.equal.push(await whileBusy(services.equal, () => timePings(thread, count)))
  }
  thread.terminate()
  await Promise.all([thread.ended, services.nice.close(), services.equal.close()])
  return [
    ...figures('ping of an actor, pool idle', times.idle),
    ...figures(`ping of an actor, pool busy on ${availableParallelism()} cores`, times.nice),
    ...figures('the same without niceness', times.equal),
  ]
}

function openService(niceness: number): ComputeService {
  return createCompute({ code: '/none', actors: import.meta.dirname, niceness, timeout: 600_000, emit() {}, log: console.error })
}

function run(service: ComputeService, name: string, input: unknown = null, signal = never) {
  return service.use(caller, { task: `${work}#${name}`, input }, signal)
}

/** Keeps every thread of the pool busy meanwhile. */
async function whileBusy<Value>(service: ComputeService, measure: () => Promise<Value>): Promise<Value> {
  const stop = new AbortController()
  const flags = Array.from({ length: availableParallelism() }, () => new Int32Array(new SharedArrayBuffer(4)))
  const spinning = flags.map((flag) => run(service, 'spin', flag, stop.signal).catch(() => {}))
  await Promise.all(flags.map((flag) => Atomics.load(flag, 0) === 1 || Atomics.waitAsync(flag, 0, 0).value))
  try {
    return await measure()
  } finally {
    stop.abort()
    await Promise.all(spinning)
  }
}

async function openThread(): Promise<Thread> {
  const thread = startThread({ hard: agentDefaults.memory.hard, zombieAfter: 2_000, log: console.error, onReaped() {} })
  while (!thread.isUp) await setTimeout(5)
  return thread
}

/** One at a time with a pause before each: an actor that waits has to be given a core first. */
async function timePings(thread: Thread, count: number): Promise<number[]> {
  const times: number[] = []
  for (let n = 0; n < count; n++) {
    await setTimeout(1)
    const { promise, resolve } = Promise.withResolvers<void>()
    thread.receive(({ kind }) => void (kind === 'pong' && resolve()))
    const began = performance.now()
    thread.post({ kind: 'ping', at: began })
    await promise
    times.push(performance.now() - began)
  }
  return times
}

function figures(name: string, times: readonly number[][]): Figure[] {
  const all = times.flat()
  const at = (share: number, label: string): Figure => ({
    name: `${name}, ${label}`,
    value: quantile(all, share),
    unit: 'ms',
    note: spread(times.map((round) => quantile(round, share))),
  })
  return [at(0.5, 'p50'), at(0.99, 'p99')]
}
