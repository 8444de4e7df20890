import { expect, test } from 'vitest'
import type { HostFrame } from '../../src/core/frames.ts'
import { sample, startThread } from './thread.ts'

const mail = (first: number, ...messages: readonly (readonly [type: string, body?: unknown])[]): HostFrame => ({
  kind: 'mail',
  actor: 'lab',
  first,
  items: messages.flatMap(([type, body = null]) => [type, JSON.stringify(body), 'producer']),
})

test('mail is handled in order, and acknowledged per batch', async () => {
  await using thread = await startThread()
  await thread.load(sample('counter'))
  thread.post(mail(1, ['slow', 1], ['add', 2], ['slow', 3]), mail(4, ['add', 4], ['slow', 5], ['total']))
  await thread.next('acks', ({ upTo }) => upTo === 6)
  expect(thread.frames.filter(({ kind }) => kind === 'acks' || kind === 'post')).toEqual([
    { kind: 'acks', actor: 'lab', upTo: 3, failed: [] },
    {
      kind: 'post',
      actor: 'lab',
      call: 1,
      message: { id: expect.any(String), to: 'producer', type: 'total', body: '{"count":15,"order":[0,3,10]}' },
    },
    { kind: 'acks', actor: 'lab', upTo: 6, failed: [] },
  ])
})

test('mail that fails is named in the acknowledgement, leaves the state as it was, and the rest is handled', async () => {
  await using thread = await startThread()
  await thread.load(sample('counter'))
  thread.post(mail(10, ['add', 1], ['bad'], ['add', 2], ['durable'], ['unknown'], ['tellBad']))
  const { upTo, failed } = await thread.next('acks')
  expect([upTo, failed.map(({ number, error }) => `${number} ${error.code}: ${error.message}`)]).toEqual([
    15,
    [
      '11 HANDLER_FAILED: The handler of message "bad" failed: refused',
      '13 HANDLER_FAILED: ctx.every needs a commit, and the mailbox of this agent has durability: async',
      expect.stringMatching(/^14 HANDLER_NOT_FOUND: /),
      '15 BODY_INVALID: body is a BigInt: send it as a string',
    ],
  ])
  expect(await thread.turn('get')).toMatchObject({ kind: 'done', reply: '3' })
})

test('a body that is no JSON fails alone', async () => {
  await using thread = await startThread()
  await thread.load(sample('counter'))
  const items = ['add', '1', 'x', 'add', '{', 'x', 'add', '2', 'x']
  thread.post({ kind: 'mail', actor: 'lab', first: 1, items })
  expect(await thread.next('acks')).toMatchObject({ upTo: 3, failed: [{ number: 2, error: { code: 'BODY_INVALID' } }] })
  expect(await thread.turn('get')).toMatchObject({ kind: 'done', reply: '3' })
})

test('an abort reaches the mail in hand, and the next is not aborted', async () => {
  await using thread = await startThread()
  await thread.load(sample('counter'))
  thread.post(mail(1, ['wait'], ['add', 1]), { kind: 'abort', actor: 'lab', code: 'TURN_TIMEOUT', reason: 'too long' })
  expect(await thread.next('acks')).toMatchObject({ upTo: 2, failed: [{ number: 1, error: { code: 'TURN_TIMEOUT' } }] })
  thread.post(mail(3, ['wait']))
  thread.post({ kind: 'abort', actor: 'lab', code: 'STOPPED', reason: 'again' })
  expect(await thread.next('acks', ({ upTo }) => upTo === 3)).toMatchObject({ failed: [{ number: 3, error: { code: 'STOPPED' } }] })
})

test('mail that takes longer than its type may is aborted, and the rest is handled', async () => {
  await using thread = await startThread()
  await thread.load(sample('counter'), { limits: { turnTimeout: 60_000, turnTimeouts: { wait: 20 } } })
  thread.post(mail(1, ['wait'], ['slow', 2]))
  expect(await thread.next('acks')).toEqual({
    kind: 'acks',
    actor: 'lab',
    upTo: 2,
    failed: [{ number: 1, error: expect.objectContaining({ code: 'TURN_TIMEOUT' }) }],
  })
})
