import { cancelWait, type Draft, type DraftChild, dropChild, emit, findChild, joinChild, reply } from './draft.ts'
import { forgive } from './history.ts'
import { plan } from './plan.ts'
import { type ChildSpec, faultsOf } from './spec.ts'
import { isAlive } from './status.ts'
import { recall } from './supervision.ts'
import type { Input } from './team.ts'
import { enroll } from './wave.ts'

/** Makes the team what the spec says: only children that changed are touched, and a faulty spec changes nothing. */
export function onApply(draft: Draft, { to, spec, kept = new Map(), held = [] }: Extract<Input, { kind: 'apply' }>): void {
  if (draft.phase.kind !== 'starting' && draft.phase.kind !== 'running') return reply(draft, to, { kind: 'refused', why: 'team_down' })
  const faults = faultsOf(spec)
  if (faults.length > 0) return reply(draft, to, { kind: 'invalid', faults })
  draft.history = recall(draft.history, new Map([...kept].filter(([id]) => findChild(draft, id) === undefined)))
  const { children, ...rest } = spec
  draft.spec = rest
  draft.gone = forget(draft.gone, children)
  for (const child of draft.children) child.isHeld = held.includes(child.spec.id)
  const changes = plan(knownTo(draft), children)
  const started = changes.start.map(({ id }) => id)
  for (const id of changes.stop) if (!started.includes(id)) discard(draft, id)
  for (const each of changes.start) renew(draft, each, held.includes(each.id))
  arrange(draft, children)
  emit(draft, { name: 'plan:applied', team: spec.id, stop: changes.stop, start: started })
  reply(draft, to, { kind: 'planned', plan: changes })
}

/** What a plan takes as running: every child that the team has, up or not, so that one that was stopped on purpose stays so. */
function knownTo(draft: Draft): Map<string, { id: string; version: string }> {
  const staying = draft.children.filter(({ todo }) => todo !== 'remove').map(({ spec }) => spec)
  const ended = Object.entries(draft.gone).flatMap(([id, { ended: version }]) => (version === undefined ? [] : [{ id, version }]))
  return new Map([...ended, ...staying].map((each) => [each.id, each]))
}

/** Keeps in mind which temporary children have had their run, as long as they are listed in the version that had it. */
function forget(gone: Draft['gone'], desired: readonly ChildSpec[]): Draft['gone'] {
  const versions = new Map(desired.map(({ id, version }) => [id, version]))
  const kept = Object.entries(gone).map(([id, each]) => [id, each.ended === versions.get(id) ? each : { incarnation: each.incarnation }])
  return Object.fromEntries(kept)
}

function discard(draft: Draft, id: string): void {
  const child = findChild(draft, id)
  if (child === undefined) return
  if (isAlive(child.status)) child.todo = 'remove'
  else dropChild(draft, child)
}

/**
 * Brings a child in that is new, changed, or on its way out and wanted again; only what is new can have a past that counts. One that
 * is held comes in as well, but does not start.
 */
function renew(draft: Draft, spec: ChildSpec, isHeld: boolean): void {
  const child = findChild(draft, spec.id)
  if (child === undefined) {
    const joined = joinChild(draft, spec)
    joined.isHeld = isHeld
    return enroll(draft, joined)
  }
  draft.history = forgive(draft.history, spec)
  if (isHeld) {
    child.todo = isAlive(child.status) ? 'stop' : undefined
    return
  }
  child.todo = isAlive(child.status) ? 'restart' : 'start'
  if (child.todo === 'start') cancelWait(draft, child)
}

/** Puts the children in the order of the spec, those on their way out behind them: they stop first. */
function arrange(draft: Draft, specs: readonly ChildSpec[]): void {
  const wanted = specs.flatMap((spec) => {
    const child = findChild(draft, spec.id)
    if (child) child.spec = spec
    return child ? [child] : []
  })
  draft.children = [...wanted, ...draft.children.filter((child: DraftChild) => !wanted.includes(child))]
}
