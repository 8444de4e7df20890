import { fileURLToPath } from 'node:url'
import { Piscina, queueOptionsSymbol } from 'piscina'
import { threadEnv } from '../host/thread.ts'
import type { TaskFrame } from '../worker/compute-task.ts'
import type { Run } from './compute-run.ts'
import type { PoolThreads } from './compute-threads.ts'

export type PoolOptions = {
  /** Tasks at a time. */
  readonly places: number
  /** Bytes: V8's own limit for a thread. */
  readonly hard: number
  /** Ms after which a thread without work ends. */
  readonly idle: number
  readonly niceness: number
  /** Who watches them. */
  readonly threads: PoolThreads
  /** Gets whatever comes from a thread, but for the pool's own messages. */
  readonly take: (message: unknown) => void
  /** A thread has ended, and no task was in it. */
  readonly onLost: (error: Error, left: number) => void
}

export type Pool = {
  /** Resolves when the task is over; its answer comes to `take`. Rejects when its thread ended. */
  run(frame: TaskFrame, run: Run): Promise<void>
  /** Ends all threads. */
  close(): Promise<void>
}

const entry = fileURLToPath(new URL('../worker/compute-task.ts', import.meta.url))

/** Opens a pool without threads. Nobody gives it more than `places` tasks at a time: tasks that have a signal wait in it without limit. */
export function openPool({ places, hard, idle, niceness, threads, take, onLost }: PoolOptions): Pool {
  const pool = new Piscina({
    filename: entry,
    name: 'run',
    minThreads: 0,
    maxThreads: 2 * places, // so that there is one in place of each that is about to end; no more than `places` have a task
    idleTimeout: idle,
    niceIncrement: niceness,
    atomics: 'disabled', // else what a task left running would go on in the midst of the next one
    recordTiming: false,
    execArgv: [],
    env: threadEnv(),
    resourceLimits: { maxOldGenerationSizeMb: hard / 2 ** 20 },
    // The pool tells nobody else which thread a task is given to.
    loadBalancer(task, workers) {
      const idlers = workers.filter(({ id, currentUsage }) => currentUsage === 0 && !threads.isEnding(id) && !threads.isOwing(id))
      const chosen = idlers.find(({ id }) => threads.isUp(id)) ?? idlers[0]
      const worker = chosen && workerOf(chosen.id)
      if (!worker) return null
      const run = Reflect.get(task, queueOptionsSymbol) as Run // as `run` below gave it
      threads.take(worker, run)
      run.begin(worker)
      return chosen
    },
  })
  const workerOf = (thread: number) => pool.threads.find(({ threadId }) => threadId === thread)

  pool.on('workerCreate', ({ id }) => {
    const worker = workerOf(id)
    if (worker) threads.watch(worker)
  })
  pool.on('workerDestroy', ({ id }) => threads.ended(id))
  pool.on('message', take)
  pool.on('error', (error: Error) => onLost(error, pool.threads.length))

  return {
    run: (frame, run) =>
      pool.run({ ...frame, [queueOptionsSymbol]: run }, { transferList: [...run.order.transfer] as never[], signal: run.signal }),
    close: () => pool.destroy(),
  }
}
