import { expect, test } from 'vitest'
import { createGate } from '../../src/services/http-gate.ts'

test('of a long line that fails as it begins everybody gets a turn, and the place is free again', async () => {
  const line = 20_000
  const gate = createGate({ concurrency: 1, line })
  const last = Promise.withResolvers<number>()
  let begun = 0
  function begin(): void {
    begun += 1
    gate.leave()
    if (begun === line) last.resolve(begun)
  }
  gate.enter({ begin() {} })
  for (let n = 0; n < line; n += 1) gate.enter({ begin })
  gate.leave()
  expect(await last.promise).toBe(line)
  const { promise, resolve } = Promise.withResolvers<string>()
  gate.enter({ begin: () => resolve('begun') })
  expect(await promise).toBe('begun')
})
