import type { Event } from './events.ts'
import type { Exit } from './exit.ts'
import { clean, type History } from './history.ts'
import type { Plan } from './plan.ts'
import type { ChildSpec, TeamSpec } from './spec.ts'
import type { Status } from './status.ts'
import type { Supervision } from './supervision.ts'

/**
 * What a child still has to do in the team's wave: the ordered change in which children stop from last to first, one at a
 * time, and then start from first to last, each after the one before it is ready. `restart` is a stop that turns into a start.
 */
export type Todo = 'stop' | 'remove' | 'restart' | 'start'

/** Somebody who waits for a child to be up or down. */
export type Waiter = { readonly to: string; readonly for: 'add' | 'restart' | 'terminate' }

/** A child as its supervisor sees it. */
export type Child = {
  readonly spec: ChildSpec
  readonly status: Status
  /** Number of its latest start in this team's life; a signal that names another one is late. */
  readonly incarnation: number
  readonly todo: Todo | undefined
  /** When its timer is due. A child waits for one thing at a time, so it has one timer, and its status says what for. */
  readonly until: number | undefined
  /** It was killed because its start took too long: unlike other exits that the supervisor causes, this one counts. */
  readonly isOverdue: boolean
  /** It is paused: only a restart by command starts it. OTP has no pause: there a child that was terminated comes back with its siblings. */
  readonly isHeld: boolean
  readonly waiters: readonly Waiter[]
}

/** Where a team is in its life; it ends once and is then replaced by a new one. */
export type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'starting'; readonly to: string }
  | { readonly kind: 'running' }
  | { readonly kind: 'stopping'; readonly exit: Exit; readonly replies: readonly Reply[] }
  | { readonly kind: 'stopped'; readonly exit: Exit }

/** What is kept of a child that left its team, by id. */
export type Gone = {
  /** So that one that joins under the same id is not taken for it. */
  readonly incarnation: number
  /** The version of a temporary child that has had its run: a reload that still lists it must not run it again. */
  readonly ended?: string
}

/** The whole state of a supervisor, as a plain value. */
export type Team = {
  readonly spec: Omit<TeamSpec, 'children'>
  readonly phase: Phase
  /** In the order in which they start. */
  readonly children: readonly Child[]
  readonly gone: Readonly<Record<string, Gone>>
  readonly history: History
}

/** What happened, or what somebody asks for. `to` names who gets the reply: exactly one for each request. */
export type Input =
  | { readonly kind: 'start'; readonly to: string }
  | { readonly kind: 'stop'; readonly to?: string; readonly exit?: Exit }
  /** As stop, but nobody is given time: a second SIGTERM. */
  | { readonly kind: 'kill' }
  /** `kept`: what others remember of children that come; `held`: those of its children that are paused, also in a team that has just started. */
  | {
      readonly kind: 'apply'
      readonly to: string
      readonly spec: TeamSpec
      readonly kept?: ReadonlyMap<string, Supervision>
      readonly held?: readonly string[]
    }
  | { readonly kind: 'add'; readonly to: string; readonly spec: ChildSpec }
  /** `restart` is for a child that is down, `renew` for any: it is stopped, if need be, and started again. Both end a pause. */
  | { readonly kind: 'terminate' | 'pause' | 'restart' | 'renew' | 'delete'; readonly to: string; readonly id: string }
  /** What a child that is up has in memory counts no more: it starts again. */
  | { readonly kind: 'outdated'; readonly id: string }
  /** `begun`: it has its thread, so from now on its start takes time of its own. */
  | { readonly kind: 'begun' | 'ready' | 'ignored'; readonly id: string; readonly incarnation: number }
  | { readonly kind: 'exited'; readonly id: string; readonly incarnation: number; readonly exit: Exit; readonly detail?: string }
  /** A timer is due; `at` as it was set, so that one that was replaced in the meantime is known. */
  | { readonly kind: 'fired'; readonly id: string; readonly at: number }

/** What a request comes to. */
export type Result =
  | { readonly kind: 'done' }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'planned'; readonly plan: Plan }
  | { readonly kind: 'invalid'; readonly faults: readonly string[] }
  | { readonly kind: 'failed'; readonly id: string; readonly exit: Exit; readonly detail: string | undefined }
  | { readonly kind: 'refused'; readonly why: Refusal }

/** Why a request was not taken up. */
export type Refusal = 'not_found' | 'running' | 'restarting' | 'already_started' | 'already_present' | 'team_down'

/** A result on its way to who asked. */
export type Reply = { readonly to: string; readonly result: Result }

/**
 * What the host has to do. It answers every startChild with ready, ignored or exited, with begun before if it takes time, and every killChild with exited even when
 * the thread cannot be ended (it is a zombie then, and replaced). Setting a timer replaces the one of the same id.
 */
export type Effect =
  | { readonly kind: 'startChild'; readonly id: string; readonly incarnation: number; readonly spec: ChildSpec }
  | { readonly kind: 'stopChild'; readonly id: string; readonly incarnation: number; readonly shutdown: number }
  | { readonly kind: 'killChild'; readonly id: string; readonly incarnation: number }
  | { readonly kind: 'setTimer'; readonly id: string; readonly at: number }
  | { readonly kind: 'clearTimer'; readonly id: string }
  | { readonly kind: 'emit'; readonly event: Event }
  | ({ readonly kind: 'reply' } & Reply)
  /** The team has ended; gave_up means over its budget. */
  | { readonly kind: 'exit'; readonly exit: Exit }

/** A team that has not started, with what is remembered of it. */
export function createTeam({ children, ...spec }: TeamSpec, history: History = clean): Team {
  return { spec, phase: { kind: 'idle' }, children: children.map((child) => createChild(child)), gone: {}, history }
}

/** A child that has not been started since it joined. */
export function createChild(spec: ChildSpec, incarnation = 0): Child {
  return { spec, status: 'stopped', incarnation, todo: undefined, until: undefined, isOverdue: false, isHeld: false, waiters: [] }
}
