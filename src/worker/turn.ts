import type { Definition, Log } from '../actor.ts'
import { ActorError } from '../core/errors.ts'
import type { Effects, NewJob, ThreadFrame, TimerChange } from '../core/frames.ts'
import type { JsonText, Outgoing } from '../core/message.ts'
import type { Abort } from './abort.ts'
import type { Always } from './always.ts'
import type { Calls } from './calls.ts'
import type { HttpLink } from './http.ts'
import type { State } from './state.ts'

/** An actor that runs in this thread: what its turns share. */
export type Resident = {
  readonly id: string
  readonly definition: Definition
  readonly args: unknown
  readonly sql: ReadonlySet<string>
  readonly state: State
  readonly calls: Calls
  readonly log: Log
  /** To the host's pool. */
  readonly link: HttpLink | undefined
  /** What every ctx of it has. */
  readonly always: Always
  send(frame: ThreadFrame): void
}

/** One turn while it runs. Number 0 is init. */
export type Turn = {
  readonly number: number
  /** What it handles, for people: the message "scan". */
  readonly name: string
  readonly abort: Abort
  readonly collected: Collected
  /** Called when it is over; each gives how much it gave up that somebody waited for. */
  readonly ends: (() => number)[]
  isOver: boolean
}

/** What a turn has collected so far. */
export type Collected = {
  readonly messages: Outgoing[]
  readonly jobs: NewJob[]
  readonly writes: { readonly fn: string; readonly args: JsonText }[]
  readonly timers: TimerChange[]
  steps: boolean
}

/** Begins a turn. */
export function openTurn(number: number, name: string, abort: Abort): Turn {
  return { number, name, abort, collected: { messages: [], jobs: [], writes: [], timers: [], steps: false }, ends: [], isOver: false }
}

/** Nothing of a turn goes on. What its handler started and did not await is given up, and said to its author. */
export function leaveTurn({ calls, log }: Resident, turn: Turn): void {
  // A handler that throws has its own error to tell.
  const isDone = turn.isOver
  turn.isOver = true
  const left = turn.ends.splice(0).reduce((sum, end) => sum + end(), calls.leave(turn.number))
  if (left === 0 || !isDone) return
  log.warn(`The handler of ${turn.name} ended before ${left} of its calls, which are given up: await what it starts`)
}

/** Ends a turn: what was collected is what it does. */
export function closeTurn(turn: Turn, state: JsonText | undefined): Effects {
  turn.isOver = true
  return state === undefined ? turn.collected : { ...turn.collected, state }
}

/** Refuses what a forgotten promise does after its handler has ended: nobody would commit it. */
export function assertOpen(turn: Turn, call: string): void {
  if (!turn.isOver) return
  throw new ActorError(
    'HANDLER_FAILED',
    `${call} came after the handler of ${turn.name} had ended, and does nothing: await what the handler starts; outside a turn there is ctx.post`,
  )
}
