import { expect, test } from 'vitest'
import { sample, startThread } from './thread.ts'

test('turns that wait in a thread are run one after the other, each if the one it follows is done', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  thread.begin('look')
  thread.begin('fail', null, { after: 1 })
  thread.begin('look', null, { after: 2 })
  thread.begin('look', null, { after: 3 })
  await thread.turn('look')
  expect(thread.frames.flatMap((frame) => (frame.kind === 'ended' ? [[frame.turn, frame.outcome.kind]] : []))).toEqual([
    [1, 'done'],
    [2, 'threw'],
    [5, 'done'],
  ])
})

test('an abort that names a turn which has ended does nothing to the one that runs', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  thread.begin('look')
  const second = thread.begin('look', null, { after: 1 })
  thread.post({ kind: 'abort', actor: 'lab', turn: 1, code: 'TURN_TIMEOUT', reason: 'too long' })
  expect(await thread.ended(second)).toMatchObject({ kind: 'done' })
  const third = thread.begin('wait')
  thread.post({ kind: 'abort', actor: 'lab', turn: second, code: 'TURN_TIMEOUT', reason: 'too long' })
  thread.post({ kind: 'abort', actor: 'lab', turn: third, code: 'TURN_TIMEOUT', reason: 'this one' })
  expect(await thread.ended(third)).toMatchObject({ error: { message: 'this one' } })
})

test('an abort without a number ends what runs and all that waits behind it', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  const first = thread.begin('wait')
  thread.begin('look', null, { after: first })
  thread.post({ kind: 'abort', actor: 'lab', code: 'LEASE_LOST', reason: 'taken over' })
  expect(await thread.ended(first)).toMatchObject({ error: { code: 'LEASE_LOST' } })
  const last = await thread.turn('look')
  expect([last.kind, thread.frames.filter(({ kind }) => kind === 'ended').length]).toEqual(['done', 2])
})

test('an abort without a number lets go of what waits, also when what runs does not heed it', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  const first = thread.begin('heedless')
  thread.begin('look', null, { after: first })
  thread.post({ kind: 'abort', actor: 'lab', code: 'LEASE_LOST', reason: 'taken over' })
  const ends = [await thread.ended(first), await thread.turn('look')]
  expect([ends.map(({ kind }) => kind), thread.frames.filter(({ kind }) => kind === 'ended').length]).toEqual([['done', 'done'], 2])
})

test('a turn that took next to no time says so, one that waited does not', async () => {
  await using thread = await startThread()
  await thread.load(sample('lab'))
  for (let round = 0; round < 20; round++) await thread.turn('look')
  const slow = thread.begin('wait')
  setTimeout(() => thread.post({ kind: 'abort', actor: 'lab', code: 'STOPPED', reason: 'enough' }), 5)
  await thread.ended(slow)
  const ends = thread.frames.flatMap((frame) => (frame.kind === 'ended' ? [frame.isQuick] : []))
  expect([ends.includes(true), ends.at(-1)]).toEqual([true, undefined])
})
