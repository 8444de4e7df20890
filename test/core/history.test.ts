import { expect, test } from 'vitest'
import { clean, countExit, countRestart, forgive, type History, park, standingOf, unpark } from '../../src/core/history.ts'

test('keeps what each child has against it, until it is forgiven', () => {
  const a = { id: 'a', version: '1' }
  const parked = park(countExit(countExit(clean, a), a), a, 900)
  expect([parked.children, unpark(parked, a).children, forgive(parked, a), forgive(clean, a) === clean]).toEqual([
    { a: { version: '1', exits: 2, quarantines: 1, until: 900 } },
    { a: { version: '1', exits: 2, quarantines: 1 } },
    clean,
    true,
  ])
})

test('another version has nothing against it', () => {
  const history = countExit(clean, { id: 'a', version: '1' })
  const exits = (version: string) => standingOf(history, { id: 'a', version }).exits
  expect([exits('1'), exits('2'), countExit(history, { id: 'a', version: '2' }).children]).toEqual([
    1,
    0,
    { a: { version: '2', exits: 1, quarantines: 0 } },
  ])
})

test('a child may be called as it likes', () => {
  const names = ['constructor', '__proto__', 'toString']
  const exitsOf = (history: History, id: string) => standingOf(history, { id, version: '1' }).exits
  expect(names.map((id) => [exitsOf(clean, id), exitsOf(countExit(clean, { id, version: '1' }), id)])).toEqual([
    [0, 1],
    [0, 1],
    [0, 1],
  ])
})

test('restarts of children that wait do not age meanwhile, others do, and old ones go', () => {
  const history = {
    ...clean,
    restarts: [
      { id: 'a', at: 100 },
      { id: 'a', at: 800 },
      { id: 'b', at: 900 },
    ],
  }
  expect(countRestart(history, { id: 'a', now: 1_100, delay: 50, waiting: ['a'] }, { max: 9, within: 1_000 }).restarts).toEqual([
    { id: 'a', at: 850 },
    { id: 'b', at: 900 },
    { id: 'a', at: 1_150 },
  ])
})
