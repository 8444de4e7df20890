import type { ErrorData } from './frames.ts'
import type { Delivery } from './message.ts'
import { longestReason, storable } from './storable.ts'
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

const blocks = { first: 60_000, longest: 3_600_000 } as const

/** Whom an operator or a budget keeps from its work: it is nobody's failed attempt, and is tried again `after` so many ms. */
export type Blocked = { readonly reason: string; readonly after: number }

/** Whether what was thrown says that the agent is blocked; `wallNow` in ms since 1970, as the end of a budget is. */
export function judgeBlock({ error, isFinal = false, retryIn }: Failure, wallNow: number): Blocked | undefined {
  if (isFinal || (error.code !== 'BLOCKED' && error.code !== 'BUDGET_EXCEEDED')) return undefined
  const { reason, until } = error.details ?? {}
  const left = typeof until === 'number' ? Math.max(until - wallNow, 0) : blocks.first
  return {
    reason: storable(typeof reason === 'string' ? reason : error.message, longestReason),
    after: retryIn ?? Math.ceil(Math.min(left, blocks.longest)),
  }
}

/** The wait after the n-th failed attempt. */
export function retryDelay(attempts: number, random: number): number {
  return Math.round(Math.min(backoff.max, backoff.first * 2 ** (attempts - 1)) * (1 - backoff.jitter * random))
}

function finalReason({ code }: ErrorData): DeadReason {
  if (code === 'BODY_INVALID') return 'body_invalid'
  return code === 'HANDLER_NOT_FOUND' ? 'handler_not_found' : 'fatal'
}
