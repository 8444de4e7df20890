import type { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { openRun } from '../../src/services/compute-run.ts'
import { caller } from './pool.ts'

test('a task that may run for months is not ended at once', async () => {
  const order = { file: '', name: '', title: 'task', input: null, timeout: 100 * 86_400_000, transfer: [] }
  const run = openRun({ id: 1, caller, order, until: new AbortController().signal, discard() {} })
  run.begin({} as Worker)
  await new Promise((resolve) => setTimeout(resolve, 5))
  run.settle({ kind: 'done', id: 1, value: 'done', moved: [] })
  run.close()
  expect(await run.answer).toMatchObject({ value: 'done' })
})
