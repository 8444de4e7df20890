import { expect, test } from 'vitest'
import { done, sample, startThread } from './thread.ts'

const load = { sql: ['record_performance', 'v_active_jobs'] }
const kinds = ['tell', 'now', 'ask', 'step', 'job', 'write', 'read', 'every', 'state']

test('what a forgotten promise does after its handler has ended throws and does nothing', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'), load)
  for (const kind of kinds) await thread.turn('forget', kind)
  const outcome = await thread.turn('goOn')
  const calls = [
    'ctx.tell',
    'ctx.tell',
    'ctx.ask',
    'ctx.step',
    'ctx.jobs.create',
    'ctx.db.write',
    'ctx.db.read',
    'ctx.every',
    'ctx.state =',
  ]
  const late = (call: string) =>
    `${call} came after the handler of message "forget" had ended, and does nothing: await what the handler starts; outside a turn there is ctx.post`
  expect(outcome).toEqual({
    kind: 'done',
    reply: JSON.stringify(calls.map(late)),
    effects: { messages: [], jobs: [], writes: [], timers: [], steps: false },
  })
  expect(thread.requests).toEqual([])
})

test('what a turn leaves unanswered is said once, and an answer that comes late harms nobody', async () => {
  await using thread = await startThread(() => undefined)
  await thread.load(sample('lab'), load)
  expect(await thread.turn('hurry')).toMatchObject({ kind: 'done', reply: '"in a hurry"' })
  const asked = thread.frames.flatMap((frame) => (frame.kind === 'call' || frame.kind === 'use' ? [frame] : []))
  const error = { name: 'ActorError', code: 'STORE_FAILED', message: 'too late' }
  for (const { kind, call } of asked)
    thread.post(
      kind === 'call'
        ? { kind: 'answer', actor: 'lab', call, answer: { ok: false, error } }
        : { kind: 'used', actor: 'lab', call, outcome: { ok: false, error } },
    )
  expect(await thread.turn('look')).toMatchObject({ kind: 'done' })
  const said = `The handler of message "hurry" ended before ${asked.length} of its calls, which are given up: await what it starts`
  expect([asked.length, thread.lines().map(({ level, msg }) => [level, msg])]).toEqual([12, [[40, said]]])
})

test('post works outside turns; the same id is the same message', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'), load)
  await thread.turn('forget', 'post')
  await thread.turn('forget', 'post')
  const turn = thread.begin('goOn')
  for (const call of [1, 2]) {
    await thread.next('post', (frame) => frame.call === call)
    thread.post({ kind: 'answer', actor: 'lab', call, answer: done })
  }
  expect(await thread.ended(turn)).toMatchObject({ reply: '["worked","worked"]' })
  const message = { id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8/), to: 'lab', type: 'look', body: '"socket"' }
  const posts = thread.frames.filter((frame) => frame.kind === 'post')
  expect(posts).toEqual([1, 2].map((call) => ({ kind: 'post', actor: 'lab', call, message })))
  expect(posts[0]?.message.id).toBe(posts[1]?.message.id)
})
