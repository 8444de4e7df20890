import type { Delivery } from './message.ts'
import { begin, type TurnDraft } from './turn-draft.ts'
import type { Handed, Running, TurnState } from './turn-state.ts'

/** From this many interruptions on, a message runs alone. */
export const suspectFrom = 2
/** So many messages may be handed to a thread behind the one that runs. */
const mostHanded = 8
/** Characters of a body up to which it may lie in a thread's memory until its turn comes. */
const largestBody = 2 ** 14

/**
 * Whether the thread may be given one more message behind the one that runs. To wake it for each costs more than a quick turn itself;
 * what it has got waits for no more than some quick turns, though, and cannot be overtaken.
 */
export function mayHand({ running, handed, reach, isFilling }: TurnState): boolean {
  return running?.stage === 'running' && !running.abort && running.delivery.kind === 'message' && isFilling && handed.length < reach
}

/** Whether a delivery may be given to the thread before it is known how the turns before it ended. */
export function mayBeHanded(delivery: Delivery, maxAttempts: number): boolean {
  if (delivery.kind === 'job') return false
  const { attempts, interruptions, body } = delivery.message
  return attempts < maxAttempts && interruptions < suspectFrom && body.length <= largestBody
}

/** Gives the thread a message that it runs only once the turn before it is done. */
export function hand(draft: TurnDraft, running: Running, next: Handed): void {
  const { turn: after } = draft.handed.at(-1) ?? running
  draft.handed = [...draft.handed, next]
  if (draft.handed.length >= draft.reach) draft.isFilling = false
  draft.effects.push({ kind: 'run', ...next, attempt: next.delivery.message.attempts + 1, after })
}

/** The thread goes on with what it has. */
export function runHanded(draft: TurnDraft): void {
  const [next, ...rest] = draft.handed
  draft.handed = rest
  // By halves: then most of them go together.
  if (rest.length <= draft.reach / 2) draft.isFilling = true
  if (next) begin(draft, next.turn, next.delivery, false)
}

/** The turn before them failed, so the thread lets go of what it has: that waits in the mailbox again. */
export function takeBack(draft: TurnDraft): void {
  if (draft.handed.length > 0) draft.effects.push({ kind: 'putBack', handed: draft.handed })
  draft.handed = []
}

/** Takes note of how a turn went: an actor of quick turns is handed more and more, one of slow turns nothing. */
export function pace(draft: TurnDraft, isQuick: boolean): void {
  draft.reach = isQuick ? Math.min(mostHanded, Math.max(1, draft.reach * 2)) : 0
}
