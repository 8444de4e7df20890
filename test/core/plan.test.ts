import fc from 'fast-check'
import { expect, test } from 'vitest'
import { plan } from '../../src/core/plan.ts'
import { runs } from '../seed.ts'

const spec = (id: string, version = '1') => ({ id, version })
const byId = (specs: { id: string; version: string }[]) => new Map(specs.map((each) => [each.id, each]))
const anySpecs = fc.uniqueArray(
  fc.record({ id: fc.constantFrom(...'abcdefgh', '__proto__', 'constructor'), version: fc.constantFrom('1', '2') }),
  { selector: ({ id }) => id },
)

test('boot starts everything in order, shutdown stops everything', () => {
  const all = [spec('b'), spec('a')]
  expect([plan(new Map(), all), plan(byId(all), [])]).toEqual([
    { stop: [], start: all },
    { stop: ['b', 'a'], start: [] },
  ])
})

test('stops what is missing, starts what is new, does both to what changed, and leaves the rest alone', () => {
  expect(plan(byId([spec('a'), spec('b'), spec('d')]), [spec('a'), spec('d', '2'), spec('n')])).toEqual({
    stop: ['b', 'd'],
    start: [spec('d', '2'), spec('n')],
  })
})

test('whatever runs, a plan leads to what is desired, touches nothing that is right, and has nothing left to do after', () => {
  fc.assert(
    fc.property(anySpecs, anySpecs, (running, desired) => {
      const { stop, start } = plan(byId(running), desired)
      const after = [...running.filter(({ id }) => !stop.includes(id)), ...start]
      expect(after.toSorted(inOrder)).toEqual(desired.toSorted(inOrder))
      const isRight = (id: string) => running.find((each) => each.id === id)?.version === desired.find((each) => each.id === id)?.version
      expect([...stop, ...start.map(({ id }) => id)].filter(isRight)).toEqual([])
      expect(plan(byId(after), desired)).toEqual({ stop: [], start: [] })
    }),
    runs(2_000),
  )
})

function inOrder(one: { id: string }, other: { id: string }): number {
  return one.id < other.id ? -1 : 1
}
