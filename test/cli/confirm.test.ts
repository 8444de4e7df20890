import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { isConfirmed } from '../../src/cli/confirm.ts'

test.each([
  ['yes', 'yes\r', true],
  ['anything else', 'y\r', false],
  ['Ctrl-C', '\u0003', false],
  ['Ctrl-D', '\u0004', false],
])('%s is an answer', async (_, typed, isYes) => {
  const [input, output] = [new PassThrough(), new PassThrough()].map((stream) => Object.assign(stream, { isTTY: true }))
  if (!input || !output) throw new Error('there are two')
  const answer = isConfirmed({ options: {} }, 'db reset', 'Delete everything?', { input, output })
  input.write(typed)
  expect(await answer).toBe(isYes)
})
