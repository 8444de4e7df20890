import type { ActorError } from '../core/errors.ts'
import type { Event } from '../core/events.ts'
import { backoffDelay } from '../store/failure.ts'
import { isTimeout, isUnanswered, type StoreFailureDetails, storeError, storeFailureKind } from '../store/store-error.ts'
import type { Clock } from './clock.ts'

/** How this process bears with a store that does not answer. */
export type Patience = {
  /** Does one call, and takes note of whether the store answered. */
  attempt<Answer>(call: () => Promise<Answer>): Promise<Answer>
  /**
   * Repeats the identical call until it is answered; undefined once the signal is aborted. Throws what is about the call's data, and that
   * is a call too that took too long so often in a row: the database gave it up, or left it without an answer while it answered others.
   */
  insist<Answer>(call: () => Promise<Answer>, signal: AbortSignal, timeouts?: number): Promise<Answer | undefined>
  /** Since when nothing is answered. */
  readonly awaySince: number | undefined
}

const backoff = { base: 200, max: 5_000 } as const
/** So many statements in a row that took too long are no weakness of the database. */
const mostTimeouts = 10

/** Makes the one patience of a process, so that an outage is announced once. */
export function createPatience({
  clock,
  emit,
  random = Math.random,
}: {
  readonly clock: Clock
  readonly emit: (event: Event) => void
  readonly random?: () => number
}): Patience {
  let awaySince: number | undefined
  /** How many calls were answered: with others in the meantime, a call that is not is no sign of a store that is away. */
  let answers = 0

  function answered(): void {
    answers += 1
    if (awaySince === undefined) return
    emit({ name: 'store:back', after: Math.round(clock.now() - awaySince) })
    awaySince = undefined
  }

  function failed(error: unknown): void {
    if (awaySince !== undefined) return
    awaySince = clock.now()
    emit({ name: 'store:failed', error: error instanceof Error ? error.message : String(error) })
  }

  function pause(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = clock.after(ms, resolve)
    const leave = () => resolve()
    signal.addEventListener('abort', leave, { once: true })
    return promise.finally(() => {
      cancel()
      signal.removeEventListener('abort', leave)
    })
  }

  async function attempt<Answer>(call: () => Promise<Answer>, since = answers): Promise<Answer> {
    try {
      const answer = await call()
      answered()
      return answer
    } catch (error) {
      // One that was given up says nothing of the store.
      const isTooMuch = answers > since && (isTimeout(error) || isUnanswered(error))
      if (!isAboutData(error) && !isTooMuch && storeFailureKind(error) !== 'aborted') failed(error)
      throw error
    }
  }

  return {
    attempt: (call) => attempt(call),
    async insist(call, signal, timeouts = mostTimeouts) {
      const since = answers
      let timedOut = 0
      for (let times = 1; !signal.aborted; times++) {
        const before = answers
        try {
          return await attempt(call, since)
        } catch (error) {
          if (signal.aborted) return undefined
          if (isAboutData(error)) throw error
          timedOut = isTimeout(error) || (isUnanswered(error) && answers > before) ? timedOut + 1 : 0
          if (timedOut === timeouts) throw tooSlow(error as ActorError, timedOut)
        }
        await pause(backoffDelay(times, backoff, random()), signal)
      }
      return undefined
    },
    get awaySince() {
      return awaySince
    },
  }
}

/** How often the database may give up a call for these: what can be divided is, at once; one alone may have met a busy hour. */
export function timeoutsFor(items: readonly unknown[]): number {
  return items.length > 1 ? 1 : mostTimeouts
}

function tooSlow(error: ActorError, times: number): ActorError {
  const { details, message } = error
  return storeError(`${message}, ${times} in a row`, { ...(details as StoreFailureDetails), kind: 'refused' }, error)
}

/** Whether the same call can never work, whoever is asked and whenever. */
export function isAboutData(error: unknown): boolean {
  const kind = storeFailureKind(error)
  // An answer that cannot be read has odd data in it, and has them the next time too.
  return kind === 'data' || kind === 'refused' || kind === 'conflict' || kind === 'answer'
}
