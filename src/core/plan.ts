import type { ChildSpec } from './spec.ts'

/** What a plan has to know of a child. */
type Versioned = Pick<ChildSpec, 'id' | 'version'>

/** What has to be stopped and started; an id in both is a child that changed. */
export type Plan<Spec extends Versioned = ChildSpec> = { readonly stop: readonly string[]; readonly start: readonly Spec[] }

/** What turns the running set into the desired one. Boot is plan(∅, all), shutdown is plan(all, ∅). */
export function plan<Spec extends Versioned>(running: ReadonlyMap<string, Versioned>, desired: readonly Spec[]): Plan<Spec> {
  const wanted = new Map(desired.map((spec) => [spec.id, spec]))
  return {
    stop: [...running.values()].filter((spec) => wanted.get(spec.id)?.version !== spec.version).map((spec) => spec.id),
    start: desired.filter((spec) => running.get(spec.id)?.version !== spec.version),
  }
}
