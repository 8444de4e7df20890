import {
  cancelWait,
  type Draft,
  type DraftChild,
  dropChild,
  findChild,
  joinChild,
  reply,
  retireChild,
  startChild,
  stopChild,
} from './draft.ts'
import { forgive } from './history.ts'
import type { ChildSpec } from './spec.ts'
import { isAlive } from './status.ts'
import type { Input, Refusal, Waiter } from './team.ts'

/** A request about one child of a team that is up. */
export type Request = Extract<Input, { kind: 'add' | 'terminate' | 'pause' | 'restart' | 'renew' | 'delete' }>

/** Takes up a request at once, whatever else is going on; the reply comes when the child is where it should be. */
export function onRequest(draft: Draft, request: Request): void {
  const { to } = request
  if (draft.phase.kind !== 'starting' && draft.phase.kind !== 'running') return refuse(draft, to, 'team_down')
  if (request.kind === 'add') return add(draft, to, request.spec)
  const child = findChild(draft, request.id)
  if (child === undefined) return refuse(draft, to, 'not_found')
  switch (request.kind) {
    case 'terminate':
      return terminate(draft, to, child)
    case 'pause':
      child.isHeld = true
      return terminate(draft, to, child)
    case 'restart':
      return restart(draft, to, child)
    case 'renew':
      return renew(draft, to, child)
    case 'delete':
      return remove(draft, to, child)
  }
}

function add(draft: Draft, to: string, spec: ChildSpec): void {
  const present = findChild(draft, spec.id)
  if (present) return refuse(draft, to, presenceOf(present) === 'running' ? 'already_started' : 'already_present')
  startFor(draft, { to, for: 'add' }, joinChild(draft, spec))
}

/** Stops a child out of order, also one that is only waiting to be started. */
function terminate(draft: Draft, to: string, child: DraftChild): void {
  if (isAlive(child.status)) {
    child.waiters = [...child.waiters, { to, for: 'terminate' }]
    child.isOverdue = false
    child.todo = holdDown(child)
    if (child.status !== 'draining') stopChild(draft, child)
    return
  }
  if (child.status === 'quarantined') draft.history = forgive(draft.history, child.spec)
  child.todo = undefined
  cancelWait(draft, child)
  reply(draft, to, { kind: 'done' })
  if (child.spec.restart === 'temporary' && !child.isHeld) retireChild(draft, child)
}

/** Starts a child that is down. Whoever asks for it has dealt with the cause, so nothing is held against it. */
function restart(draft: Draft, to: string, child: DraftChild): void {
  const why = presenceOf(child)
  if (why !== 'down') return refuse(draft, to, why)
  child.isHeld = false
  cancelWait(draft, child)
  draft.history = forgive(draft.history, child.spec)
  startFor(draft, { to, for: 'restart' }, child)
}

/** Gives a child, up or down, its place in the wave. Answered at once: a start that fails then is judged like any other. */
function renew(draft: Draft, to: string, child: DraftChild): void {
  if (child.todo === 'remove') return refuse(draft, to, 'not_found')
  child.isHeld = false
  draft.history = forgive(draft.history, child.spec)
  child.todo = isAlive(child.status) ? 'restart' : 'start'
  if (child.todo === 'start') cancelWait(draft, child)
  reply(draft, to, { kind: 'done' })
}

function remove(draft: Draft, to: string, child: DraftChild): void {
  const why = presenceOf(child)
  if (why !== 'down') return refuse(draft, to, why)
  reply(draft, to, { kind: 'done' })
  dropChild(draft, child)
}

function startFor(draft: Draft, waiter: Waiter, child: DraftChild): void {
  child.waiters = [...child.waiters, waiter]
  startChild(draft, child)
}

function refuse(draft: Draft, to: string, why: Refusal): void {
  reply(draft, to, { kind: 'refused', why })
}

/** What the wave may still do with a child that has to stay down. */
function holdDown({ todo }: DraftChild): DraftChild['todo'] {
  return todo === 'restart' ? 'stop' : todo === 'start' ? undefined : todo
}

/** Whether a child is up, on its way up again, or down until somebody asks. */
function presenceOf(child: DraftChild): 'running' | 'restarting' | 'down' {
  if (child.status === 'waiting' || child.todo === 'start' || child.todo === 'restart') return 'restarting'
  if (child.status === 'starting' && child.waiters.length === 0) return 'restarting'
  return isAlive(child.status) ? 'running' : 'down'
}
