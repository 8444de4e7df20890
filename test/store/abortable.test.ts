import { expect, test } from 'vitest'
import { abortable } from '../../src/store/abortable.ts'

test('of what is given up before it began, the failure is nobody’s any more', async () => {
  const signal = AbortSignal.abort(new Error('given up'))
  await expect(abortable(Promise.reject(new Error('the store is closed')), signal)).rejects.toThrow('given up')
})
