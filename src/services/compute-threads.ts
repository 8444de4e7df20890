import type { Worker } from 'node:worker_threads'
import type { MemoryLimits } from '../core/agent.ts'
import { guardMemory } from '../host/guards.ts'
import { heapOf } from '../host/thread.ts'
import type { Run } from './compute-run.ts'

export type PoolThreads = ReturnType<typeof createPoolThreads>

export type PoolThreadsOptions = {
  readonly memory: MemoryLimits
  /** Ms after which a thread that was ended and still runs is given up. */
  readonly zombieAfter: number
  /** It holds too much: says so in words. */
  readonly onBreach: (worker: Worker, says: string) => void
  /** It was ended and runs on; `run` is what it had last. */
  readonly onZombie: (thread: number, zombies: number, run: Run | undefined) => void
  readonly onReaped: (thread: number, zombies: number) => void
}

type Watched = {
  readonly thread: number // a thread's own number is -1 once it has ended
  readonly guard: ReturnType<typeof guardMemory>
  readonly gone: PromiseWithResolvers<void>
  run: Run | undefined
  limit: NodeJS.Timeout | undefined
}

/** Watches the pool's threads, which the pool starts and ends: what they hold, and whether they end when they are to. */
export function createPoolThreads({ memory, zombieAfter, onBreach, onZombie, onReaped }: PoolThreadsOptions) {
  const watched = new Map<Worker, Watched>()
  const zombies = new Set<Worker>()

  function watch(worker: Worker): Watched {
    const known = watched.get(worker)
    if (known) return known
    const guard = guardMemory({ heap: () => heapOf(worker) }, memory, ({ detail }) => onBreach(worker, detail))
    const one: Watched = { thread: worker.threadId, guard, gone: Promise.withResolvers(), run: undefined, limit: undefined }
    watched.set(worker, one)
    worker.once('exit', () => forget(worker, one))
    return one
  }

  function isKnown(thread: number, as: 'up' | 'ending'): boolean {
    return [...watched.values()].some((one) => one.thread === thread && (one.limit === undefined) === (as === 'up'))
  }

  function expectEnd(worker: Worker, one: Watched): void {
    one.guard.stop()
    one.limit ??= setTimeout(() => giveUp(worker, one), zombieAfter)
  }

  function giveUp(worker: Worker, { thread, gone, run }: Watched): void {
    zombies.add(worker)
    onZombie(thread, zombies.size, run)
    gone.resolve()
  }

  function forget(worker: Worker, { thread, guard, gone, limit }: Watched): void {
    clearTimeout(limit)
    guard.stop()
    watched.delete(worker)
    if (zombies.delete(worker)) onReaped(thread, zombies.size)
    gone.resolve()
  }

  return {
    watch: (worker: Worker): void => void watch(worker),
    /** A thread gets something to do. */
    take(worker: Worker, run: Run): void {
      watch(worker).run = run
    },
    isUp: (thread: number): boolean => isKnown(thread, 'up'),
    /** It may still be in the pool, but is not to be used. */
    isEnding: (thread: number): boolean => isKnown(thread, 'ending'),
    /** What it had last was over without an answer, and may yet be ended with the thread. */
    isOwing: (thread: number): boolean => [...watched.values()].some((one) => one.thread === thread && one.run?.isSettled === false),
    /** The pool has ended this one. */
    ended(thread: number): void {
      for (const [worker, one] of watched) if (one.thread === thread) expectEnd(worker, one)
    },
    /** Ends one that the pool would go on using. */
    discard(worker: Worker): void {
      const one = watched.get(worker)
      if (!one) return // it has ended by itself
      expectEnd(worker, one)
      void worker.terminate()
    },
    /** Resolves when those that were ended are gone, or given up. */
    async gone(): Promise<void> {
      await Promise.all([...watched.values()].filter(({ limit }) => limit).map(({ gone }) => gone.promise))
    },
    get count() {
      return [...watched.values()].filter(({ limit }) => !limit).length
    },
    get zombies() {
      return zombies.size
    },
  }
}
