import { cancelWait, type Draft, type DraftChild, emit, killChild, move, reply, setTimer, startChild, stopChild } from './draft.ts'
import type { Exit } from './exit.ts'
import { standingOf, unpark } from './history.ts'
import { isAlive } from './status.ts'
import type { Result } from './team.ts'

/**
 * Takes the next step of the wave, if the last one is done: nothing starts before everything that has to stop is down, and one
 * child moves at a time. A wave has no plan of its own: it is whatever the children have still to do, so that a crash, a reload
 * or a stop in the middle of one only changes what that is.
 */
export function advance(draft: Draft): void {
  const stopping = draft.children.filter(({ todo }) => todo !== undefined && todo !== 'start')
  const last = stopping.at(-1)
  if (last) {
    if (!stopping.some(({ status }) => status === 'draining')) stopChild(draft, last)
    return
  }
  const starting = draft.children.filter(({ todo }) => todo === 'start')
  const first = starting[0]
  if (first === undefined) return endWave(draft)
  // Any other status is somebody who has to be ready, gone or through with its backoff first.
  if (starting.every(({ status }) => status === 'stopped')) startChild(draft, first)
}

/** Gives a child that joins its place in the wave, unless it is paused, or was in quarantine when the process ended and still has to be. */
export function enroll(draft: Draft, child: DraftChild): void {
  if (child.isHeld) return
  const { exits, until: kept } = standingOf(draft.history, child.spec)
  // It may have been noted by a clock that was ahead.
  const until = typeof kept === 'number' ? Math.min(kept, draft.now + child.spec.quarantine.max) : kept
  if (until === undefined || (until !== null && until <= draft.now)) {
    if (until !== undefined) draft.history = unpark(draft.history, child.spec)
    child.todo = 'start'
    return
  }
  const { id } = child.spec
  move(child, 'park')
  setTimer(draft, child, until ?? Number.POSITIVE_INFINITY)
  emit(draft, { name: 'child:quarantined', team: draft.spec.id, id, incarnation: child.incarnation, exits, until })
}

/** Stops the team: waiting restarts are cancelled, then children stop from last to first. */
export function beginStop(draft: Draft, exit: Exit, to?: string): void {
  const replies = to === undefined ? [] : [{ to, result: { kind: 'done' } as const }]
  const { phase } = draft
  switch (phase.kind) {
    case 'stopped':
      for (const each of replies) reply(draft, each.to, each.result)
      return
    case 'stopping':
      draft.phase = { ...phase, replies: [...phase.replies, ...replies] }
      return
    case 'starting':
      return beginEnd(draft, exit, [{ to: phase.to, result: { kind: 'refused', why: 'team_down' } }, ...replies])
    case 'idle':
    case 'running':
      return beginEnd(draft, exit, replies)
  }
}

/** Ends a start that failed: what has started is stopped again, then the failure is answered. */
export function abortStart(draft: Draft, result: Extract<Result, { kind: 'failed' }>): void {
  if (draft.phase.kind === 'starting') beginEnd(draft, 'start_failed', [{ to: draft.phase.to, result }])
}

/** Stops the team without giving anybody time. */
export function kill(draft: Draft): void {
  beginStop(draft, 'shutdown')
  for (const child of draft.children) if (isAlive(child.status)) killChild(draft, child)
}

function beginEnd(draft: Draft, exit: Exit, replies: { to: string; result: Result }[]): void {
  draft.phase = { kind: 'stopping', exit, replies }
  for (const child of draft.children) {
    if (isAlive(child.status)) child.todo = 'stop'
    else {
      child.todo = undefined
      cancelWait(draft, child)
    }
  }
}

function endWave(draft: Draft): void {
  const { phase } = draft
  const team = draft.spec.id
  switch (phase.kind) {
    case 'starting':
      draft.phase = { kind: 'running' }
      reply(draft, phase.to, { kind: 'done' })
      return emit(draft, { name: 'team:started', team })
    case 'stopping':
      draft.phase = { kind: 'stopped', exit: phase.exit }
      for (const { to, result } of phase.replies) reply(draft, to, result)
      emit(draft, { name: 'team:stopped', team, exit: phase.exit })
      draft.effects.push({ kind: 'exit', exit: phase.exit })
      return
    case 'idle':
    case 'running':
    case 'stopped':
      return
  }
}
