import { expect, test } from 'vitest'
import { clean, type History } from '../../src/core/history.ts'
import { readSupervision, recall, supervisionOf } from '../../src/core/supervision.ts'

const standing = { version: '1', exits: 2, quarantines: 1, until: null }

test("a team's history comes together again from what was kept of each agent", () => {
  const history: History = {
    restarts: [
      { id: 'a', at: 1 },
      { id: 'b', at: 2 },
      { id: 'a', at: 3 },
    ],
    children: { a: standing },
  }
  const kept = new Map(['a', 'b', 'constructor'].map((id) => [id, supervisionOf(history, id)]))
  expect([recall(clean, kept), kept.get('constructor')]).toEqual([history, { restarts: [] }])
})

test('what was kept of an agent that comes back takes the place of what its team remembers', () => {
  const ofB = { id: 'b', at: 2 }
  const history: History = { restarts: [{ id: 'a', at: 1 }, ofB], children: { a: { ...standing, exits: 1 }, b: standing } }
  expect(recall(history, new Map([['a', { restarts: [1, 3], standing }]]))).toEqual({
    restarts: [{ id: 'a', at: 1 }, ofB, { id: 'a', at: 3 }],
    children: { b: standing, a: standing },
  })
})

test('what was kept is read as it was, and anything else as nothing', () => {
  const kept = { standing, restarts: [1, 2] }
  const others = [undefined, {}, { standing: 'none', restarts: ['x'] }, { standing: { version: 1 }, restarts: 7 }]
  expect([readSupervision(JSON.parse(JSON.stringify(kept)), 2), ...others.map((one) => readSupervision(one, 2))]).toEqual([
    kept,
    ...others.map(() => ({ restarts: [] })),
  ])
})

test('a restart of a clock that was ahead counts as one of now', () => {
  expect(readSupervision({ restarts: [1, 86_400_000] }, 10)).toEqual({ restarts: [1, 10] })
})
