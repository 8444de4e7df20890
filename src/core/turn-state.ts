import type { Effects, ErrorData, Request, ThreadFrame } from './frames.ts'
import type { Delivery, JsonText, Message } from './message.ts'
import { limitOf, type TurnLimits } from './turn-limit.ts'

/** Why a message is a dead letter. */
export type DeadReason = 'attempts_exhausted' | 'poison' | 'fatal' | 'body_invalid' | 'handler_not_found' | 'expired'

/** What a turn comes to in the store. `started` and `released` are no ends: the delivery stays, or goes back. */
export type RecordOutcome = 'done' | 'retry' | 'dead' | 'released' | 'started'

/** What one turn writes, whole or not at all. */
export type TurnCommit = {
  readonly turn: number
  /** Null: the init of this incarnation. */
  readonly delivery: Delivery | null
  readonly outcome: RecordOutcome
  /** A retry or death that counts no attempt: `started` has counted it, or there was none. */
  readonly isCounted?: boolean
  /** The attempt that `started` has counted was none. */
  readonly isTakenBack?: boolean
  readonly reason?: DeadReason
  readonly error?: ErrorData
  readonly retryIn?: number
  readonly reply?: JsonText
  readonly effects?: Effects
  /** `version` is the one that this state was made from. */
  readonly state?: { readonly version: number; readonly value: JsonText }
  /** It tells of the thread's death and stands whatever becomes of the turns before it. */
  readonly isDeath?: boolean
}

/**
 * The delivery that the actor has. A suspect one is announced by a commit that counts its attempt, is cleared once that and all
 * before it stand, and runs then.
 */
export type Running = {
  readonly turn: number
  readonly delivery: Delivery
  readonly stage: 'announced' | 'cleared' | 'running'
  /** Its attempt is counted already. */
  readonly isCounted: boolean
  readonly deadline: number
  readonly abort: Abort | undefined
}

/** A message that the thread runs once the turn before it is done. */
export type Handed = { readonly turn: number; readonly delivery: Extract<Delivery, { kind: 'message' }> }

/** Why a running turn was told to end, and when the thread is ended if it does not heed that. */
export type Abort = { readonly code: AbortCode; readonly killAt: number }
export type AbortCode = 'TURN_TIMEOUT' | 'STOPPED' | 'LEASE_LOST'

export type Call = { readonly call: number; readonly turn: number; readonly request: Request }

/** A mailbox is full, so the turns did not stand: they are committed again `at`, or are being so, in order, until `until`. */
export type Refusal = { readonly tries: number; readonly at: number | undefined; readonly until: number }

/** What kept a turn of this kind and type from its work, and when that is tried again. */
export type Block = { readonly what: string; readonly reason: string; readonly until: number }

/** One incarnation's turns, as a plain value. */
export type TurnState = {
  readonly policy: Policy
  /** `loading` until init is committed; `closed`: its thread has ended or does not count any more, only commits are left. */
  readonly phase: 'loading' | 'open' | 'draining' | 'closed'
  /** The lease is in doubt: nothing may start. */
  readonly isPaused: boolean
  readonly next: number
  /** Of the saved state as the store will have it once everything that ended is committed. */
  readonly version: number
  readonly running: Running | undefined
  /** What the thread has behind it, in order. */
  readonly handed: readonly Handed[]
  /** So many may be handed. */
  readonly reach: number
  /** More is handed until there are so many. */
  readonly isFilling: boolean
  /** Ended, and not known to be committed, in order. */
  readonly ended: readonly TurnCommit[]
  /** Verdicts on an earlier round mean nothing: what it sent is in the present one again, or withdrawn. */
  readonly round: number
  readonly refusal: Refusal | undefined
  /** Until a turn of the same kind and type is done. */
  readonly blocked: Block | undefined
  /** Requests that may not leave yet. */
  readonly waiting: readonly Call[]
  /** When a stop that takes long aborts what runs. */
  readonly abortAt: number | undefined
  readonly isDrained: boolean
}

export type Policy = TurnLimits & { readonly maxAttempts: number }

/** Ms that the turn of a delivery may take. */
export function timeoutOf(policy: Policy, delivery: Delivery): number {
  const { type } = delivery.kind === 'job' ? delivery.job : delivery.message
  return limitOf(policy, type)
}

export type Verdict =
  | { readonly kind: 'ok' | 'repeat' }
  | { readonly kind: 'stale'; readonly reason: string }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }

/** What happened to one incarnation. */
export type TurnInput =
  | { readonly kind: 'loaded'; readonly effects: Effects }
  | { readonly kind: 'take'; readonly delivery: Delivery }
  | ({ readonly kind: 'ended' } & Pick<Extract<ThreadFrame, { kind: 'ended' }>, 'turn' | 'outcome' | 'isQuick'>)
  | ({ readonly kind: 'call' } & Call)
  | { readonly kind: 'verdict'; readonly turn: number; readonly round: number; readonly verdict: Verdict }
  | { readonly kind: 'pause' | 'resume' }
  /** The agent is somebody else's now. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'jobLost'; readonly id: string }
  | { readonly kind: 'expired'; readonly messages: readonly Message[] }
  /** Take no more; what still runs at `abortAt` is told to end. */
  | { readonly kind: 'drain'; readonly abortAt: number }
  | { readonly kind: 'tick' }
  /** `stopped`: somebody wanted it, or it happened on the way to what somebody wanted. */
  | { readonly kind: 'exited'; readonly cause: 'crashed' | 'stopped'; readonly error: ErrorData }

/** What the host has to do. */
export type TurnEffect =
  /** The actor may be told that it runs: its init is committed. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'refuseStart'; readonly error: ErrorData }
  /** `attempt`: which one it is, from 1; `after`: only if that turn is done. */
  | { readonly kind: 'run'; readonly turn: number; readonly delivery: Delivery; readonly attempt: number; readonly after?: number }
  | { readonly kind: 'commit'; readonly round: number; readonly records: readonly TurnCommit[] }
  /** Withdraws what was to be committed and is not on its way. */
  | { readonly kind: 'discard' }
  | ({ readonly kind: 'request' } & Call)
  /** One turn, or whatever runs or is handed. */
  | { readonly kind: 'abort'; readonly code: AbortCode; readonly turn?: number }
  | { readonly kind: 'kill' }
  | { readonly kind: 'hold'; readonly message: Message; readonly retryIn: number }
  /** They were handed, and were not run. */
  | { readonly kind: 'putBack'; readonly handed: readonly Handed[] }
  | { readonly kind: 'threw'; readonly record: TurnCommit }
  | { readonly kind: 'blocked'; readonly reason: string; readonly after: number }
  | { readonly kind: 'unblocked' }
  | { readonly kind: 'committed'; readonly record: TurnCommit }
  /** What the actor has in memory is not what the store has: it starts again from there. */
  | { readonly kind: 'restart'; readonly reason: string }
  /** Nothing runs, and nothing is left to commit. */
  | { readonly kind: 'drained' }

/** An incarnation before its init; `version` is that of the saved state, 0 if there is none. */
export function createTurns(policy: Policy, version: number): TurnState {
  return {
    policy,
    phase: 'loading',
    isPaused: false,
    next: 1,
    version,
    running: undefined,
    handed: [],
    reach: 0,
    isFilling: true,
    ended: [],
    round: 1,
    refusal: undefined,
    blocked: undefined,
    waiting: [],
    abortAt: undefined,
    isDrained: false,
  }
}
