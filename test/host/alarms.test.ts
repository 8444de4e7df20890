import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createAlarms } from '../../src/host/alarms.ts'

const day = 86_400_000
let due: string[]
let alarms: ReturnType<typeof createAlarms>

beforeEach(() => {
  vi.useFakeTimers({ now: 0 })
  due = []
  alarms = createAlarms(Date.now, (id, at) => due.push(`${id} ${at} at ${Date.now()}`))
})
afterEach(() => {
  vi.useRealTimers()
})

test('rings when it is due, late or in time, and once', () => {
  vi.setSystemTime(100)
  alarms.set('late', 50)
  alarms.set('soon', 150)
  vi.advanceTimersByTime(1_000)
  expect([due, vi.getTimerCount()]).toEqual([['late 50 at 100', 'soon 150 at 150'], 0])
})

test('setting one again replaces it, and one that is cleared does not ring', () => {
  alarms.set('a', 50)
  alarms.set('a', 70)
  alarms.set('b', 60)
  alarms.clear('b')
  alarms.clear('b')
  vi.advanceTimersByTime(1_000)
  expect(due).toEqual(['a 70 at 70'])
})

test('waits longer than setTimeout can', () => {
  alarms.set('a', 60 * day)
  vi.advanceTimersByTime(59 * day)
  expect(due).toEqual([])
  vi.advanceTimersByTime(day)
  expect([due, vi.getTimerCount()]).toEqual([[`a ${60 * day} at ${60 * day}`], 0])
})
