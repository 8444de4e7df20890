import type { Ended } from '../core/ending.ts'
import { toErrorData } from '../worker/error-data.ts'
import type { Thread } from './thread.ts'

/** Threads that are started before anybody needs them: a restart then takes the time that loading the actor takes. */
export type Standbys = {
  /** The thread that has waited the longest, for whoever takes it to use or to end. */
  take(): Thread | undefined
  /** Sees to it that there are as many as there should be. */
  refill(): void
  list(): { readonly thread: number; readonly isUp: boolean }[]
  close(): Promise<void>
}

export type StandbysOptions = {
  readonly count: number
  /** Gives none when there is no room for a thread that nobody needs yet. */
  readonly start: () => Thread | undefined
  /** One ended that nobody had taken, or could not even start. */
  readonly onLost: (ended: Ended) => void
}

/** Keeps threads that are up, or soon will be. */
export function createStandbys({ count, start, onLost }: StandbysOptions): Standbys {
  let threads: Thread[] = []
  let isClosed = false

  /** Who waits for a thread hears why there is none; here nobody does, and it must not end the process. */
  function tryStart(): Thread | undefined {
    try {
      return start()
    } catch (error) {
      onLost({ code: undefined, error: toErrorData(error) })
      return undefined
    }
  }

  function add(): boolean {
    const thread = tryStart()
    if (!thread) return false
    threads.push(thread)
    // One that ends by itself is not replaced before the next refill, so that a shell that cannot start does not keep us busy.
    void thread.ended.then((ended) => {
      if (!threads.includes(thread)) return
      threads = threads.filter((other) => other !== thread)
      if (!isClosed) onLost(ended)
    })
    return true
  }

  return {
    take: () => threads.shift(),
    refill() {
      while (!isClosed && threads.length < count && add()) {}
    },
    list: () => threads.map(({ id, isUp }) => ({ thread: id, isUp })),
    async close() {
      isClosed = true
      const open = threads
      for (const thread of open) thread.terminate()
      await Promise.all(open.map(({ ended }) => ended))
    },
  }
}
