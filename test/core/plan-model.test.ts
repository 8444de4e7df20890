import fc from 'fast-check'
import { expect, test } from 'vitest'
import { plan } from '../../src/core/plan.ts'
import { again, runs } from '../seed.ts'

const anyId = fc.constantFrom(...'abcdef')
const anyEdit = fc.oneof(
  fc.record({ do: fc.constant('add' as const), id: anyId, at: fc.nat(6) }),
  fc.record({ do: fc.constant('change' as const), id: anyId }),
  fc.record({ do: fc.constant('remove' as const), id: anyId }),
  fc.record({ do: fc.constant('reorder' as const), by: fc.nat(5) }),
  fc.record({ do: fc.constant('reload' as const) }),
  fc.record({ do: fc.constant('stop' as const) }),
)
type Edit = typeof anyEdit extends fc.Arbitrary<infer T> ? T : never
type Spec = { readonly id: string; readonly version: string }

const seen = { kept: 0, replaced: 0, idle: 0 }

test('whatever is edited between reloads: what did not change runs on, the rest is replaced, in the order of the config', () => {
  fc.assert(fc.property(fc.array(anyEdit, { maxLength: 40, size: 'max' }), play), runs(1_000))
  expect(
    Object.entries(seen).filter(([, count]) => count < 50),
    again,
  ).toEqual([])
})

function play(edits: readonly Edit[]): void {
  let config: readonly Spec[] = []
  let versions = 0
  /** What runs, each with the reload that started it, and what the model says should. */
  let running = new Map<string, Spec & { readonly since: number }>()
  let expected = new Map<string, Spec & { readonly since: number }>()

  for (const [step, edit] of edits.entries()) {
    switch (edit.do) {
      case 'reload':
        reload(config, step)
        break
      case 'stop':
        reload([], step)
        break
      default:
        config = edited(edit)
    }
  }

  function edited(edit: Exclude<Edit, { do: 'reload' | 'stop' }>): readonly Spec[] {
    versions += 1
    const version = String(versions)
    switch (edit.do) {
      case 'add':
        return config.some(({ id }) => id === edit.id) ? config : config.toSpliced(edit.at, 0, { id: edit.id, version })
      case 'change':
        return config.map((spec) => (spec.id === edit.id ? { id: edit.id, version } : spec))
      case 'remove':
        return config.filter(({ id }) => id !== edit.id)
      case 'reorder':
        return [...config.slice(edit.by), ...config.slice(0, edit.by)]
    }
  }

  function reload(desired: readonly Spec[], step: number): void {
    const { stop, start } = plan(running, desired)
    const next = new Map(running)
    for (const id of stop) expect(next.delete(id), `${id} is stopped, but does not run`).toBe(true)
    for (const spec of start) {
      expect(next.has(spec.id), `${spec.id} is started, but runs`).toBe(false)
      next.set(spec.id, { ...spec, since: step })
    }
    expected = new Map(
      desired.map((spec) => {
        const before = expected.get(spec.id)
        const isSame = before?.version === spec.version
        seen[isSame ? 'kept' : 'replaced'] += 1
        return [spec.id, isSame ? before : { ...spec, since: step }]
      }),
    )
    if (stop.length + start.length === 0) seen.idle += 1
    running = next
    const places = new Map(desired.map(({ id }, place) => [id, place]))
    expect({ running: byId(running), order: start.map(({ id }) => places.get(id)) }).toEqual({
      running: byId(expected),
      order: start.map(({ id }) => places.get(id)).toSorted((one = 0, other = 0) => one - other),
    })
  }
}

function byId<Value>(map: ReadonlyMap<string, Value>): Record<string, Value> {
  return Object.fromEntries([...map].sort(([one], [other]) => (one < other ? -1 : 1)))
}
