import { expect, test } from 'vitest'
import { computeSettings } from '../../src/sources/compute-settings.ts'

test('has a default for everything but the threads, which the machine decides', () => {
  expect([computeSettings.parse(undefined), computeSettings.parse({ threads: 2, queue: 0, timeout: '5m', memory: '1GB' })]).toEqual([
    { queue: 1_000, timeout: 60_000, memory: 512 * 2 ** 20 },
    { threads: 2, queue: 0, timeout: 300_000, memory: 2 ** 30 },
  ])
})

test('refuses what no task could run with', () => {
  const wrong = [{ threads: 0 }, { queue: -1 }, { timeout: 0 }, { memory: '1MB' }, { thread: 1 }]
  expect(wrong.filter((given) => computeSettings.safeParse(given).success)).toEqual([])
})
