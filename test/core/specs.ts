import { type ChildSpec, defaults, type Restart, type TeamSpec } from '../../src/core/spec.ts'
import type { Input } from '../../src/core/team.ts'

/** A team as OTP has it: no backoff, no budget of the child's own, no limit to a start. Children as "a b:transient d". */
export function otp(children: string, team: Partial<TeamSpec> = {}, child: Partial<ChildSpec> = {}): TeamSpec {
  const backoff = { first: 0, max: 0, jitter: 0, reset: Number.POSITIVE_INFINITY }
  const policy = { ...defaults.child, backoff, budget: Number.POSITIVE_INFINITY, startTimeout: Number.POSITIVE_INFINITY, ...child }
  return { id: 'team', strategy: 'one_for_one', intensity: { max: 1, within: 5_000 }, children: childSpecs(children, policy), ...team }
}

/** A team with Troupe's own defaults. */
export function troupe(children: string, team: Partial<TeamSpec> = {}, child: Partial<ChildSpec> = {}): TeamSpec {
  return { id: 'team', ...defaults.team, children: childSpecs(children, { ...defaults.child, ...child }), ...team }
}

/** Children as "a b:transient d": ids with the restart that is not the policy's. */
export function childSpecs(children: string, policy: Omit<ChildSpec, 'id' | 'version'>): ChildSpec[] {
  const words = children.split(' ').filter((word) => word !== '')
  return words.map((word) => {
    const [id = '', restart] = word.split(':')
    return { ...policy, id, version: '1', ...(restart === undefined ? {} : { restart: restart as Restart }) }
  })
}

/** A request that has yet to learn who gets its reply. */
export type Ask = (to: string) => Input

export const start: Ask = (to) => ({ kind: 'start', to })
export const stop: Ask = (to) => ({ kind: 'stop', to })
export const terminate =
  (id: string): Ask =>
  (to) => ({ kind: 'terminate', to, id })
export const pause =
  (id: string): Ask =>
  (to) => ({ kind: 'pause', to, id })
export const restart =
  (id: string): Ask =>
  (to) => ({ kind: 'restart', to, id })
export const renew =
  (id: string): Ask =>
  (to) => ({ kind: 'renew', to, id })
export const remove =
  (id: string): Ask =>
  (to) => ({ kind: 'delete', to, id })
export const add =
  (spec: ChildSpec): Ask =>
  (to) => ({ kind: 'add', to, spec })
export const apply =
  (spec: TeamSpec, held: readonly string[] = []): Ask =>
  (to) => ({ kind: 'apply', to, spec, held })

export const done = { kind: 'done' } as const
export const refused = (why: string) => ({ kind: 'refused', why })
