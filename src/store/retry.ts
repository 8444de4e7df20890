import { setTimeout as delay } from 'node:timers/promises'
import { type Backoff, backoffDelay } from './failure.ts'

export interface RetryOptions extends Backoff {
  /** How often the work is tried in all. */
  readonly attempts: number
  /** Ends the waiting; the work gets it too and has to heed it. */
  readonly signal: AbortSignal
  readonly isWorthRepeating: (error: unknown) => boolean
  readonly random?: () => number
}

/** Does the work again, after a growing pause, while its errors are worth it. Throws the last error. */
export async function withRetries<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { attempts, signal, isWorthRepeating, random = Math.random } = options
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt >= attempts || signal.aborted || !isWorthRepeating(error)) throw error
      // An aborted pause is no news: the error that led to it is.
      await delay(backoffDelay(attempt, options, random()), undefined, { signal }).catch(() => {})
      if (signal.aborted) throw error
    }
  }
}
