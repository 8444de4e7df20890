import type { Event } from './events.ts'
import { forgive } from './history.ts'
import type { ChildSpec } from './spec.ts'
import { type Signal, step } from './status.ts'
import { type Child, createChild, type Effect, type Input, type Result, type Team, type Waiter } from './team.ts'

/** A child that one reduction may change. */
export type DraftChild = { -readonly [Key in keyof Child]: Child[Key] }

/** The working copy of one reduction: its functions change it freely, because nobody else can see it. */
export type Draft = { -readonly [Key in Exclude<keyof Team, 'children'>]: Team[Key] } & {
  children: DraftChild[]
  readonly effects: Effect[]
  readonly now: number
  readonly random: number
}

/** Opens a working copy. */
export function openDraft(team: Team, { now, random }: { now: number; random: number }): Draft {
  return { ...team, children: team.children.map((child) => ({ ...child })), effects: [], now, random }
}

/** Turns a working copy into the next state and what has to be done. */
export function closeDraft({ effects, now: _, random: __, ...team }: Draft): { team: Team; effects: Effect[] } {
  return { team, effects }
}

/** The child of that id. */
export function findChild(draft: Draft, id: string): DraftChild | undefined {
  return draft.children.find((child) => child.spec.id === id)
}

/** The child that a signal of a thread speaks of; none, if it speaks of an older incarnation. */
export function findIncarnation(draft: Draft, input: Extract<Input, { incarnation: number }>): DraftChild | undefined {
  const child = findChild(draft, input.id)
  return child?.incarnation === input.incarnation ? child : undefined
}

/** Moves a child on; false if the signal means nothing to it now. */
export function move(child: DraftChild, signal: Signal): boolean {
  const status = step(child.status, signal)
  if (status === undefined) return false
  child.status = status
  return true
}

/** Starts a new incarnation. */
export function startChild(draft: Draft, child: DraftChild): void {
  if (!move(child, 'start')) return
  child.incarnation += 1
  draft.effects.push({ kind: 'startChild', id: child.spec.id, incarnation: child.incarnation, spec: child.spec })
}

/** Asks a child to stop, and sees to it that it does. */
export function stopChild(draft: Draft, child: DraftChild): void {
  const { id, shutdown } = child.spec
  if (shutdown === 0) return killChild(draft, child)
  if (!move(child, 'stop')) return
  draft.effects.push({ kind: 'stopChild', id, incarnation: child.incarnation, shutdown })
  setTimer(draft, child, draft.now + shutdown)
}

/** Ends a child's thread; its exit is still to come. */
export function killChild(draft: Draft, child: DraftChild): void {
  move(child, 'stop')
  draft.effects.push({ kind: 'killChild', id: child.spec.id, incarnation: child.incarnation })
  clearTimer(draft, child)
}

/** Ends the wait of a child that has no thread; what the history holds against it stays. */
export function cancelWait(draft: Draft, child: DraftChild): void {
  if (move(child, 'stop')) clearTimer(draft, child)
}

/** Takes a new child into the team, behind the others. */
export function joinChild(draft: Draft, spec: ChildSpec): DraftChild {
  const before = Object.hasOwn(draft.gone, spec.id) ? draft.gone[spec.id] : undefined
  const child: DraftChild = createChild(spec, before?.incarnation)
  draft.children.push(child)
  return child
}

/** Takes a child without a thread out of its team. */
export function dropChild(draft: Draft, child: DraftChild): void {
  clearTimer(draft, child)
  draft.history = forgive(draft.history, child.spec)
  draft.gone = { ...draft.gone, [child.spec.id]: { incarnation: child.incarnation } }
  draft.children = draft.children.filter((other) => other !== child)
  emitOf(draft, 'child:dropped', child)
}

/** Lets a temporary child go that has had its run. */
export function retireChild(draft: Draft, child: DraftChild): void {
  dropChild(draft, child)
  draft.gone = { ...draft.gone, [child.spec.id]: { incarnation: child.incarnation, ended: child.spec.version } }
}

/** Gives a child its one timer; a time that never comes is none. */
export function setTimer(draft: Draft, child: DraftChild, at: number): void {
  if (!Number.isFinite(at)) return clearTimer(draft, child)
  child.until = at
  draft.effects.push({ kind: 'setTimer', id: child.spec.id, at })
}

/** Takes a child's timer away. */
export function clearTimer(draft: Draft, child: DraftChild): void {
  if (child.until === undefined) return
  child.until = undefined
  draft.effects.push({ kind: 'clearTimer', id: child.spec.id })
}

/** Announces what happened. */
export function emit(draft: Draft, event: Event): void {
  draft.effects.push({ kind: 'emit', event })
}

/** Announces what happened to a child and needs no more words. */
export function emitOf(draft: Draft, name: 'child:started' | 'child:ignored' | 'child:recovered' | 'child:dropped', child: Child): void {
  emit(draft, { name, team: draft.spec.id, id: child.spec.id, incarnation: child.incarnation })
}

/** Answers a request. */
export function reply(draft: Draft, to: string, result: Result): void {
  draft.effects.push({ kind: 'reply', to, result })
}

/** Answers everybody who waits for a child, each by what they wait for. */
export function answer(draft: Draft, child: DraftChild, result: (waiter: Waiter) => Result): void {
  for (const waiter of child.waiters) reply(draft, waiter.to, result(waiter))
  child.waiters = []
}
