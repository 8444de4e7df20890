import { expect, test, vi } from 'vitest'
import { longestTimer } from '../../src/core/longest-timer.ts'
import { guardLoop, guardMemory } from '../../src/host/guards.ts'
import type { Thread } from '../../src/host/thread.ts'

const months = 1_000 * 86_400_000

test('a guard that is to look after months does not look all the time', () => {
  const thread = { utilization: () => 0, post() {}, heap: async () => undefined } as unknown as Thread
  using timers = vi.spyOn(globalThis, 'setTimeout')
  using intervals = vi.spyOn(globalThis, 'setInterval')
  guardMemory(thread, { soft: 1, hard: 1, poll: months }, () => {}).stop()
  guardLoop(thread, months, () => {}).stop()
  // Node takes what is longer for 1 ms.
  expect([...timers.mock.calls, ...intervals.mock.calls].map(([, ms]) => ms)).toEqual([longestTimer, longestTimer])
})
