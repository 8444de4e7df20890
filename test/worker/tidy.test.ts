import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { collectGarbage } from '../../src/worker/collect.ts'
import { startTidying } from '../../src/worker/tidy.ts'

test('what small turns have left is given back', async () => {
  let kept: unknown[] = Array.from({ length: 400_000 }, (_, n) => ({ n }))
  const full = process.memoryUsage().heapUsed
  kept = []
  const stop = startTidying({ every: 10, growth: 2 ** 20 })
  await expect.poll(() => process.memoryUsage().heapUsed).toBeLessThan(full - 8 * 2 ** 20)
  stop()
  expect(kept).toEqual([])
})

test('collecting leaves the flags of the process as they were', () => {
  collectGarbage()
  expect(runInNewContext('typeof gc')).toBe('undefined')
})
