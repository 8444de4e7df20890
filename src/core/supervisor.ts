import { onRequest } from './admin.ts'
import {
  answer,
  cancelWait,
  clearTimer,
  closeDraft,
  type Draft,
  type DraftChild,
  emitOf,
  findChild,
  findIncarnation,
  killChild,
  move,
  openDraft,
  reply,
  setTimer,
  startChild,
} from './draft.ts'
import { onExit, onIgnored } from './exits.ts'
import { forgive, standingOf, unpark } from './history.ts'
import { onApply } from './reload.ts'
import { faultsOf } from './spec.ts'
import type { Effect, Input, Team } from './team.ts'
import { advance, beginStop, enroll, kill } from './wave.ts'

/** When an input is taken up, and a number in [0, 1) for the jitter of the waits that it causes. */
export type Moment = { readonly now: number; readonly random: number }

/**
 * The supervisor: what a team is after an input, and what the host has to do. It never waits for anything, so every request is
 * taken up at once; what takes time comes back as a later input. `now` is wall-clock ms that never go back.
 */
export function reduce(team: Team, input: Input, moment: Moment): { team: Team; effects: Effect[] } {
  const draft = openDraft(team, moment)
  handle(draft, input)
  advance(draft)
  return closeDraft(draft)
}

function handle(draft: Draft, input: Input): void {
  switch (input.kind) {
    case 'start':
      return boot(draft, input.to)
    case 'stop':
      return beginStop(draft, input.exit ?? 'shutdown', input.to)
    case 'kill':
      return kill(draft)
    case 'apply':
      return onApply(draft, input)
    case 'add':
    case 'terminate':
    case 'pause':
    case 'restart':
    case 'renew':
    case 'delete':
      return onRequest(draft, input)
    case 'outdated':
      return withChild(findChild(draft, input.id), onOutdated)
    case 'begun':
      return withChild(findIncarnation(draft, input), (child) => onBegun(draft, child))
    case 'ready':
      return withChild(findIncarnation(draft, input), (child) => onReady(draft, child))
    case 'ignored':
      return withChild(findIncarnation(draft, input), (child) => onIgnored(draft, child))
    case 'exited':
      return withChild(findIncarnation(draft, input), (child) => onExit(draft, child, input.exit, input.detail))
    case 'fired':
      return withChild(findChild(draft, input.id), (child) => onFired(draft, child, input.at))
  }
}

/** Signals about children that are gone mean nothing. */
function withChild(child: DraftChild | undefined, act: (child: DraftChild) => void): void {
  if (child) act(child)
}

function boot(draft: Draft, to: string): void {
  if (draft.phase.kind !== 'idle') return reply(draft, to, { kind: 'refused', why: 'already_started' })
  const faults = faultsOf({ ...draft.spec, children: draft.children.map(({ spec }) => spec) })
  if (faults.length > 0) return reply(draft, to, { kind: 'invalid', faults })
  draft.phase = { kind: 'starting', to }
  for (const child of draft.children) enroll(draft, child)
}

/** What it waits for before, such as a store that is away, is not its fault. */
function onBegun(draft: Draft, child: DraftChild): void {
  if (child.status === 'starting') setTimer(draft, child, draft.now + child.spec.startTimeout)
}

function onReady(draft: Draft, child: DraftChild): void {
  if (!move(child, 'ready')) return
  if (child.todo === 'start') child.todo = undefined
  const { exits } = standingOf(draft.history, child.spec)
  if (exits > 0) setTimer(draft, child, draft.now + child.spec.backoff.reset)
  else clearTimer(draft, child)
  emitOf(draft, 'child:started', child)
  answer(draft, child, () => ({ kind: 'done' }))
}

/** Nobody asked for it, so nobody is told, and what the child has against it stays. */
function onOutdated(child: DraftChild): void {
  const isUp = child.status === 'starting' || child.status === 'running'
  if (isUp && (child.todo === undefined || child.todo === 'start')) child.todo = 'restart'
}

function onFired(draft: Draft, child: DraftChild, at: number): void {
  if (child.until !== at) return
  child.until = undefined
  switch (child.status) {
    case 'starting':
      child.isOverdue = true
      return killChild(draft, child)
    case 'draining':
      return killChild(draft, child)
    case 'running':
      draft.history = forgive(draft.history, child.spec)
      return emitOf(draft, 'child:recovered', child)
    case 'waiting':
      // One that leads a round of restarts takes its place in the wave.
      return child.todo === 'start' ? cancelWait(draft, child) : startChild(draft, child)
    case 'quarantined':
      draft.history = unpark(draft.history, child.spec)
      // Others may be on their way down, or before it on their way up.
      child.todo = 'start'
      return cancelWait(draft, child)
    case 'stopped':
      return
  }
}
