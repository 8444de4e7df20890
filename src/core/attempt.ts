import type { ErrorData } from './frames.ts'
import type { Delivery } from './message.ts'
import type { DeadReason, Policy, RecordOutcome } from './turn-state.ts'

const backoff = { first: 200, max: 60_000, jitter: 0.2 } as const

/** How a failed attempt went: what was thrown, and what it said about trying again. */
export type Failure = { readonly error: ErrorData; readonly isFinal?: boolean; readonly retryIn?: number; readonly isDeath?: boolean }

/** What follows from a failed attempt; without `retryIn` a job's own backoff decides. */
export type AfterFailure = {
  readonly outcome: Extract<RecordOutcome, 'retry' | 'dead'>
  readonly error: ErrorData
  readonly reason?: DeadReason
  readonly retryIn?: number
}

/** Decides whether a message or job is tried again. `isCounted`: its counter has this attempt already. */
export function judgeFailure(
  { delivery, isCounted }: { readonly delivery: Delivery; readonly isCounted: boolean },
  failure: Failure,
  policy: Policy,
  random: number,
): AfterFailure {
  const { error, isFinal = false, retryIn } = failure
  if (isFinal) return { outcome: 'dead', error, reason: finalReason(error) }
  // A job's claim counts its attempts, and the store knows how many it has.
  if (delivery.kind === 'job') return { outcome: 'retry', error, ...(retryIn !== undefined && { retryIn }) }
  const tried = delivery.message.attempts + (isCounted ? 0 : 1)
  if (tried >= policy.maxAttempts) return { outcome: 'dead', error, reason: failure.isDeath ? 'poison' : 'attempts_exhausted' }
  return { outcome: 'retry', error, retryIn: retryIn ?? retryDelay(tried, random) }
}

/** The wait after the n-th failed attempt. */
export function retryDelay(attempts: number, random: number): number {
  return Math.round(Math.min(backoff.max, backoff.first * 2 ** (attempts - 1)) * (1 - backoff.jitter * random))
}

function finalReason({ code }: ErrorData): DeadReason {
  if (code === 'BODY_INVALID') return 'body_invalid'
  return code === 'HANDLER_NOT_FOUND' ? 'handler_not_found' : 'fatal'
}
