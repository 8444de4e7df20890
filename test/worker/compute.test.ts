import { expect, test } from 'vitest'
import { createComputeClient } from '../../src/worker/compute.ts'
import type { Use } from '../../src/worker/uses.ts'

function client(answer: (...args: Parameters<Use>) => unknown = () => 1) {
  const asked: Parameters<Use>[] = []
  const compute = createComputeClient(async (...args) => {
    asked.push(args)
    return answer(...args)
  })
  return { asked, compute }
}

const task = new URL('./lib/detect.ts#score', import.meta.url)

test('asks the host with the URL as text, and names what is moved twice', async () => {
  const { asked, compute } = client()
  const values = new Float64Array(1)
  const { signal } = new AbortController()
  const score = await compute<number>(task, { values }, { timeout: 5, signal, transfer: [values.buffer] })
  await compute(task)
  expect([score, asked]).toEqual([
    1,
    [
      ['compute', { task: task.href, input: { values }, timeout: 5, transfer: [values.buffer] }, { signal, transfer: [values.buffer] }],
      ['compute', { task: task.href, input: undefined, timeout: undefined, transfer: [] }, { signal: undefined, transfer: [] }],
    ],
  ])
})

test('refuses what is no URL and no time, and says what cannot cross', async () => {
  const { asked, compute } = client((_, input) => structuredClone(input))
  const failures = await Promise.all(
    [compute('./lib/detect.ts#score' as never), compute(task, 1, { timeout: 0 }), compute(task, () => 1)].map((one) =>
      one.catch(({ code, message }) => `${code}: ${message}`),
    ),
  )
  expect([failures, asked.length]).toEqual([
    [
      expect.stringMatching(/^BODY_INVALID: The task of ctx.compute is ".\/lib\/detect.ts#score", expected new URL\(/),
      'BODY_INVALID: The timeout of ctx.compute is 0, expected a number from 1 to 2147483647',
      expect.stringMatching(/^COMPUTE_FAILED: The input of ctx.compute cannot cross to another thread: .* could not be cloned/),
    ],
    1,
  ])
})
