import type { Store } from '../store/store.ts'
import { type Clock, createAlarm, systemClock } from './clock.ts'

/** Ends what has run out and deletes what ended long ago, a little at a time, for as long as the process runs. */
export type Upkeep = {
  start(): void
  close(): Promise<void>
}

export type UpkeepOptions = {
  readonly store: Pick<Store, 'call'>
  /** False while the store is away or the leases are in doubt: then others may do it. */
  readonly mayRun: () => boolean
  /** Jobs that nobody renewed are free again, or dead. */
  readonly onFreed: () => void
  readonly clock?: Clock
  readonly random?: () => number
  readonly tasks?: readonly Task[]
}

type Task = {
  readonly name: 'sweep_rows' | 'prune_rows'
  /** Ms on average between two runs, so that several processes do not run at the same time every time. */
  readonly every: number
  /** Rows of a kind in one call: between two calls the store is everybody's. */
  readonly limit: number
}

const defaultTasks: readonly Task[] = [
  { name: 'sweep_rows', every: 30_000, limit: 500 },
  { name: 'prune_rows', every: 300_000, limit: 500 },
]
/** Calls in a row while there is more to do; the rest is for the next run, or for another process. */
const mostCalls = 20

/**
 * Every process does this, as no process is special: the functions take what is free and leave what another one has in hand. A
 * failure is not announced, because whoever needs the store says so already; the next run is another try.
 */
export function createUpkeep(options: UpkeepOptions): Upkeep {
  const { store, mayRun, onFreed, clock = systemClock, random = Math.random, tasks = defaultTasks } = options
  const closed = new AbortController()
  const { signal } = closed
  const due = new Map<Task, number>()
  const alarm = createAlarm(clock, () => {
    working = work()
  })
  let working: Promise<void> = Promise.resolve()

  async function work(): Promise<void> {
    for (const task of tasks) {
      if ((due.get(task) ?? 0) > clock.now()) continue
      await run(task).catch(() => {})
      due.set(task, clock.now() + task.every * (0.75 + random() / 2))
    }
    schedule()
  }

  async function run({ name, limit }: Task): Promise<void> {
    for (let calls = 0; calls < mostCalls && !signal.aborted && mayRun(); calls++) {
      const counts = await store.call(name, { p_args: { limit } }, { signal })
      if (name === 'sweep_rows' && (counts.jobs ?? 0) > 0) onFreed()
      if (Math.max(...Object.values(counts)) < limit) return
    }
  }

  function schedule(): void {
    if (!signal.aborted) alarm.set(Math.min(...due.values()))
  }

  return {
    start() {
      // Not at once: a start has other things to do, and several processes may start together.
      for (const task of tasks) due.set(task, clock.now() + task.every * random())
      schedule()
    },
    async close() {
      alarm.clear()
      closed.abort()
      await working
    },
  }
}
