import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { ActorError } from '../../src/core/errors.ts'
import type { ThreadFrame } from '../../src/core/frames.ts'
import { createCalls } from '../../src/worker/calls.ts'

test('what a turn leaves unanswered is forgotten, and what others wait for is not', async () => {
  const frames: ThreadFrame[] = []
  const send = (frame: ThreadFrame) => void frames.push(frame)
  const calls = createCalls('lab', { send, move: send })
  const { signal } = new AbortController()
  void calls.use(1, 'llm', {}, { signal })
  void calls.request(1, { kind: 'stepStart', key: 'step:a' })
  const others = [calls.request(2, { kind: 'stepStart', key: 'step:b' }), calls.post({ id: 'm', to: 'b', type: 'x', body: 'null' })]
  const left = [calls.leave(1), calls.leave(1)]
  const sent = frames.length
  // Nothing of it is there that the host would have to be told of.
  calls.abandon(1, new ActorError('STOPPED', 'over'))
  for (const call of [3, 4]) calls.settle(call, { ok: true, value: String(call) })
  expect([left, frames.length - sent, getEventListeners(signal, 'abort').length, await Promise.all(others)]).toEqual([
    [2, 0],
    0,
    0,
    [
      { ok: true, value: '3' },
      { ok: true, value: '4' },
    ],
  ])
})
