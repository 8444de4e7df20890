import {
  answer,
  clearTimer,
  type Draft,
  type DraftChild,
  dropChild,
  emit,
  emitOf,
  move,
  retireChild,
  setTimer,
  startChild,
} from './draft.ts'
import { type Exit, isClean } from './exit.ts'
import { countExit, countRestart, forgive, park, standingOf } from './history.ts'
import { backoff, decideRestart, quarantineFor } from './restart.ts'
import { isAlive } from './status.ts'
import type { Result } from './team.ts'
import { abortStart, beginStop } from './wave.ts'

/** Takes note that a child has ended and does what follows from it. */
export function onExit(draft: Draft, child: DraftChild, reported: Exit, detail: string | undefined): void {
  const wasStarting = child.status === 'starting' || child.isOverdue
  const intended = isIntended(child)
  if (!move(child, 'exit')) return
  const { incarnation } = child
  const { id } = child.spec
  const exit = intended ? reported : nameExit(child, reported, wasStarting)
  const failed: Extract<Result, { kind: 'failed' }> = { kind: 'failed', id, exit, detail }
  const request = child.waiters.find((waiter) => waiter.for !== 'terminate')?.for
  child.isOverdue = false
  clearTimer(draft, child)
  emit(draft, { name: 'child:exited', team: draft.spec.id, id, incarnation, exit, intended, detail })
  answer(draft, child, (waiter) => (waiter.for === 'terminate' ? { kind: 'done' } : failed))
  if (intended) return afterStop(draft, child)
  // Somebody who asked for this start has been told; it is for them to try again.
  if (request === 'add') return dropChild(draft, child)
  if (request === 'restart') return
  if (draft.phase.kind === 'starting' && wasStarting && incarnation === 1) return abortStart(draft, failed)
  judge(draft, child, exit)
}

/** Takes note that a child found nothing to do when it started. */
export function onIgnored(draft: Draft, child: DraftChild): void {
  if (child.status !== 'starting' || !move(child, 'exit')) return
  clearTimer(draft, child)
  emitOf(draft, 'child:ignored', child)
  answer(draft, child, () => ({ kind: 'ignored' }))
  afterStop(draft, child)
}

/** Whether the supervisor wanted this child to end, in which case nothing counts it, however it ends. */
function isIntended(child: DraftChild): boolean {
  const isLeaving = child.todo !== undefined && child.todo !== 'start'
  return isLeaving || (child.status === 'draining' && !child.isOverdue)
}

function nameExit(child: DraftChild, reported: Exit, wasStarting: boolean): Exit {
  if (child.isOverdue) return 'start_timeout'
  // A thread that ends well before it is ready has not done what it was meant to do.
  return wasStarting && isClean(reported) ? 'start_failed' : reported
}

/** What a child has still to do once it is down. */
function afterStop(draft: Draft, child: DraftChild): void {
  const { todo } = child
  child.todo = todo === 'restart' ? 'start' : undefined
  if (todo === 'remove') return dropChild(draft, child)
  // A pause is no end: one that is temporary has its run still before it.
  if (child.spec.restart === 'temporary' && todo !== 'restart' && !child.isHeld) retireChild(draft, child)
}

function judge(draft: Draft, child: DraftChild, exit: Exit): void {
  const { spec, history, now } = draft
  const past = { exits: standingOf(history, child.spec).exits, restarts: history.restarts.map(({ at }) => at) }
  const verdict = decideRestart(child.spec, exit, past, now, spec.intensity)
  child.todo = undefined
  if (verdict !== 'forget') draft.history = countExit(history, child.spec)
  switch (verdict) {
    case 'forget':
      draft.history = forgive(history, child.spec)
      return afterStop(draft, child)
    case 'quarantine':
      return quarantine(draft, child)
    case 'give_up':
      emit(draft, { name: 'team:gaveUp', team: spec.id, id: child.spec.id, exit })
      return beginStop(draft, 'gave_up')
    case 'restart':
      return restart(draft, child)
  }
}

/** Parks a child. As after every exit without a restart, its siblings are left alone, whatever the strategy. */
function quarantine(draft: Draft, child: DraftChild): void {
  const { id, quarantine: policy } = child.spec
  const { exits, quarantines } = standingOf(draft.history, child.spec)
  const at = draft.now + quarantineFor(policy, quarantines + 1)
  const until = Number.isFinite(at) ? at : null
  draft.history = park(draft.history, child.spec, until)
  move(child, 'park')
  setTimer(draft, child, at)
  emit(draft, { name: 'child:quarantined', team: draft.spec.id, id, incarnation: child.incarnation, exits, until })
}

function restart(draft: Draft, child: DraftChild): void {
  const { id, backoff: policy } = child.spec
  const { exits } = standingOf(draft.history, child.spec)
  const delay = backoff(policy, exits, draft.random)
  const affected = affectedBy(draft, child)
  const waiting = affected.map(({ spec }) => spec.id)
  draft.history = countRestart(draft.history, { id, now: draft.now, delay, waiting }, draft.spec.intensity)
  const isAlone = draft.spec.strategy === 'one_for_one'
  if (!isAlone) for (const each of affected) sweep(each)
  if (delay > 0) wait(draft, child, draft.now + delay, exits)
  else if (isAlone) startChild(draft, child)
}

function affectedBy(draft: Draft, child: DraftChild): DraftChild[] {
  switch (draft.spec.strategy) {
    case 'one_for_one':
      return [child]
    case 'one_for_all':
      return draft.children
    case 'rest_for_one':
      return draft.children.slice(draft.children.indexOf(child))
  }
}

/** Takes a child into a round of restarts; one that is paused has no part in it. */
function sweep(child: DraftChild): void {
  if (child.isHeld || child.status === 'quarantined' || child.todo === 'remove' || child.todo === 'restart') return
  if (!isAlive(child.status)) child.todo = 'start'
  else child.todo = child.spec.restart === 'temporary' ? 'stop' : 'restart'
}

function wait(draft: Draft, child: DraftChild, until: number, exits: number): void {
  move(child, 'wait')
  setTimer(draft, child, until)
  emit(draft, { name: 'child:delayed', team: draft.spec.id, id: child.spec.id, incarnation: child.incarnation, exits, until })
}
