import type { AgentSpec } from '../core/agent.ts'
import type { Event } from '../core/events.ts'
import type { ErrorData } from '../core/frames.ts'
import type { Delivery } from '../core/message.ts'
import { overLimit } from '../core/turn-limit.ts'
import type { TurnCommit, TurnState, Verdict } from '../core/turn-state.ts'
import type { TurnVerdict } from '../store/functions/turns.ts'
import { errorText } from './wire.ts'

/** Why a turn is told to end. */
export const abortReasons = {
  TURN_TIMEOUT: overLimit,
  STOPPED: 'The actor is being stopped',
  LEASE_LOST: 'Somebody else has the agent or the job now',
} as const

/** How a thread ends whose turn does not heed that. */
export const unheeded = { exit: 'hung', detail: 'its turn went on after it was told to end' } as const

/** Tells what becomes of an incarnation's turns. */
export function announcements({ team, id }: AgentSpec, incarnation: number, emit: (event: Event) => void) {
  const about = { team, id, incarnation }
  /** Said once, however often it is tried. */
  let blockedBy: string | undefined
  return {
    threw({ delivery, error, retryIn, outcome }: TurnCommit): void {
      if (!delivery || !error) return
      const attempt = delivery.kind === 'job' ? delivery.job.attempt : delivery.message.attempts + 1
      const next = outcome === 'retry' && retryIn !== undefined ? retryIn : null
      emit({ name: 'turn:failed', ...about, ...handled(delivery), attempt, error: errorText(error), retryIn: next })
    },
    blocked({ reason, after }: { readonly reason: string; readonly after: number }): void {
      if (blockedBy !== reason) emit({ name: 'agent:blocked', ...about, reason, until: Date.now() + after })
      blockedBy = reason
    },
    unblocked(): void {
      blockedBy = undefined
      emit({ name: 'agent:unblocked', ...about })
    },
    committed({ delivery, outcome, reason, error }: TurnCommit): void {
      if (!delivery) return
      if (outcome === 'done') emit({ name: 'turn:committed', ...about, ...handled(delivery) })
      if (outcome !== 'dead' || delivery.kind === 'job') return
      emit({ name: 'message:dead', ...about, ...handled(delivery), reason: reason ?? 'failed', error: error && errorText(error) })
    },
    rejected: (reason: string): void => emit({ name: 'turn:rejected', ...about, reason }),
  }
}

function handled(delivery: Delivery) {
  const { id, type } = delivery.kind === 'message' ? delivery.message : delivery.job
  return { source: delivery.kind, handled: id, type }
}

/** A verdict of the store without what is for others. */
export function plainVerdict(verdict: TurnVerdict): Verdict {
  switch (verdict.verdict) {
    case 'ok':
    case 'repeat':
      return { kind: verdict.verdict }
    case 'stale':
      return { kind: 'stale', reason: verdict.reason }
    case 'failed':
      return { kind: 'failed', code: verdict.code, message: verdict.error }
  }
}

/** The end of a thread as an error of the turn that it died in. */
export function exitError(exit: string, detail: string): ErrorData {
  const code = exit === 'hung' ? 'ACTOR_HUNG' : exit === 'out_of_memory' ? 'OUT_OF_MEMORY' : 'ACTOR_CRASHED'
  return { name: 'ActorError', code, message: `Its thread ended: ${exit}: ${detail}` }
}

/** Whether the message at hand is to blame for the end of its thread. What somebody wanted to end is nobody's fault, drained or not. */
export function causeOf(exit: string, phase: TurnState['phase']): 'crashed' | 'stopped' {
  return phase === 'draining' || exit === 'shutdown' ? 'stopped' : 'crashed'
}
