import type { Delivery } from './message.ts'
import { type Call, type TurnCommit, type TurnEffect, type TurnState, timeoutOf } from './turn-state.ts'

/** The state that one input is changing, and what the host will have to do. */
export type TurnDraft = { -readonly [Name in keyof TurnState]: TurnState[Name] } & {
  readonly now: number
  readonly wallNow: number
  readonly random: number
  readonly effects: TurnEffect[]
}

/** Begins a change; the lists of the state are replaced, never changed. */
export function openDraft(state: TurnState, moment: Pick<TurnDraft, 'now' | 'wallNow' | 'random'>): TurnDraft {
  return { ...state, ...moment, effects: [] }
}

/** A turn runs from now on. */
export function begin(draft: TurnDraft, turn: number, delivery: Delivery, isCounted: boolean): void {
  const deadline = draft.now + timeoutOf(draft.policy, delivery)
  draft.running = { turn, delivery, stage: 'running', isCounted, deadline, abort: undefined }
}

/** Adds a turn to those that have ended; it leaves now, unless earlier ones have to be repeated first. */
export function commit(draft: TurnDraft, record: TurnCommit): void {
  draft.ended = [...draft.ended, record]
  if (draft.refusal?.at === undefined) draft.effects.push({ kind: 'commit', round: draft.round, records: [record] })
}

/** Takes the requests that may leave now. */
export function requestsWaiting(draft: TurnDraft): readonly Call[] {
  if (draft.waiting.length === 0) return []
  const leaving = draft.waiting.filter((call) => mayLeave(draft, call))
  if (leaving.length > 0) draft.waiting = draft.waiting.filter((call) => !leaving.includes(call))
  return leaving
}

/** What others may see must not be there before the turns that came first. A read changes nothing, and a step's end only keeps what was done. */
function mayLeave({ ended, isPaused }: TurnDraft, { turn, request }: Call): boolean {
  if (request.kind === 'read' || request.kind === 'stepFinish') return true
  // Not the first of them alone: what expires beside a turn that runs ends before it, and has a later number.
  return !isPaused && ended.every((one) => one.turn >= turn)
}
