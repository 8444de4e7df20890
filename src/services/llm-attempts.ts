import { ActorError } from '../core/errors.ts'
import type { Clock } from '../host/clock.ts'
import { type Backoff, backoffDelay } from '../store/failure.ts'
import { type Failure, RequestFailed } from './llm-failure.ts'

/** After the first request. */
const repeatLimit = 2

export type RepeatOptions = {
  readonly clock: Clock
  readonly backoff: Backoff
  readonly random: () => number
  /** Ends the waiting; the work gets it too and has to heed it. */
  readonly signal: AbortSignal
  /** By the clock: what would come later is not begun. */
  readonly deadline: number
}

/** Does the work again while its failures may pass: twice at most, and not before the endpoint wants it. Throws the last failure. */
export async function withRepeats<Value>(work: () => Promise<Value>, options: RepeatOptions): Promise<Value> {
  const { clock, backoff, random, signal, deadline } = options
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof RequestFailed) || error.failure.kind !== 'transient' || signal.aborted || attempt > repeatLimit) throw error
      const pause = error.failure.retryAfter ?? backoffDelay(attempt, backoff, random())
      if (clock.now() + pause >= deadline) throw error
      await wait(pause, clock, signal)
    }
  }
}

/** A failure as the actor gets it. */
export function errorOf({ kind, text, status, retryAfter }: Failure, of: { at: string; keyName: string; requests: number }): ActorError {
  const details = { requests: of.requests, ...(status !== undefined && { status }), ...(retryAfter !== undefined && { retryAfter }) }
  if (kind === 'denied') {
    const reason = `${of.at} does not take ${of.keyName} for its models: ${text}`
    return new ActorError('BLOCKED', reason, { details: { reason, ...details } })
  }
  const often = of.requests > 1 ? ` ${of.requests} times` : ''
  return new ActorError('MODEL_FAILED', `The model at ${of.at} failed${often}: ${text}`, { details })
}

async function wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const giveUp = () => reject(signal.reason)
  const cancel = clock.after(ms, resolve)
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await promise
  } finally {
    cancel()
    signal.removeEventListener('abort', giveUp)
  }
}
