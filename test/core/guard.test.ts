import { expect, test } from 'vitest'
import { countSilence, nextLook } from '../../src/core/guard.ts'

test('memory is looked at more often above half of the limit, and ends the thread above all of it', () => {
  const look = (total: number, external = 0, poll = 250) => nextLook({ total, used: 0, external }, { soft: 100, hard: 400, poll })
  expect([look(50), look(51), look(30, 30), look(100), look(100, 1), look(101), look(80, 0, 10)]).toEqual([
    250,
    50,
    50,
    50,
    undefined,
    undefined,
    10,
  ])
})

test('silence counts while a loop is blocked, and not when the host or the machine stood still', () => {
  const look = { isHeard: false, utilization: 1, elapsed: 200, interval: 200 }
  expect([
    countSilence(400, look),
    countSilence(400, { ...look, elapsed: 60_000 }),
    countSilence(400, { ...look, isHeard: true }),
    countSilence(400, { ...look, utilization: 0.5 }),
  ]).toEqual([600, 600, 0, 0])
})
