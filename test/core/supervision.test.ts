import { expect, test } from 'vitest'
import type { History } from '../../src/core/history.ts'
import { historyOf, readSupervision, supervisionOf } from '../../src/core/supervision.ts'

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
  expect([historyOf(kept), kept.get('constructor')]).toEqual([history, { restarts: [] }])
})

test('what was kept is read as it was, and anything else as nothing', () => {
  const kept = { standing, restarts: [1, 2] }
  const others = [undefined, {}, { standing: 'none', restarts: ['x'] }, { standing: { version: 1 }, restarts: 7 }]
  expect([readSupervision(JSON.parse(JSON.stringify(kept))), ...others.map((one) => readSupervision(one))]).toEqual([
    kept,
    ...others.map(() => ({ restarts: [] })),
  ])
})
