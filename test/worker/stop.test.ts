import { expect, test } from 'vitest'
import { agentDefaults } from '../../src/core/agent.ts'
import { sample, startThread } from './thread.ts'

test("a stop lets what runs finish, runs the actor's stop, and says so", async () => {
  await using thread = await startThread(() => undefined)
  await thread.load(sample('lab'))
  const turn = thread.begin('asks', ['b'])
  const { call } = await thread.next('call')
  thread.post({ kind: 'stop', actor: 'lab' }, { kind: 'answer', actor: 'lab', call, answer: { ok: true, value: '1' } })
  expect([await thread.next('stopped'), await thread.ended(turn)]).toMatchObject([{ kind: 'stopped', actor: 'lab' }, { reply: '[1]' }])
  expect(thread.frames.map(({ kind }) => kind)).toEqual(['up', 'loaded', 'call', 'ended', 'stopped'])
})

test("an actor's stop sees the last state, and what it throws is told", async () => {
  await using thread = await startThread()
  await thread.load(sample('keeper'))
  await thread.turn('add', { name: 'stuck' })
  thread.post({ kind: 'stop', actor: 'lab' })
  expect(await thread.next('stopped')).toMatchObject({ error: { name: 'Error', message: 'cannot close' } })
  expect(thread.lines()).toMatchObject([{ level: 30, actor: 'lab', seen: 8, msg: 'closing' }])
})

test('a stop while the actor still loads waits for init', async () => {
  await using thread = await startThread()
  const loaded = thread.load(sample('keeper'))
  thread.post({ kind: 'stop', actor: 'lab' })
  expect([(await loaded).kind, await thread.next('stopped')]).toEqual(['loaded', { kind: 'stopped', actor: 'lab' }])
})

test('a refused actor stops at once, and its thread takes another load', async () => {
  await using thread = await startThread()
  await thread.load(sample('broken/nothing'))
  thread.post({ kind: 'stop', actor: 'lab' })
  await thread.next('stopped')
  thread.post({ kind: 'load', actor: 'lab', incarnation: 2, file: sample('lab'), args: '{}', state: null, sql: [], limits: agentDefaults })
  expect(await thread.next('loaded')).toMatchObject({ actor: 'lab', incarnation: 2 })
})

test('one thread takes several actors, each with its own turns', async () => {
  await using thread = await startThread()
  await Promise.all([thread.load(sample('lab')), thread.load(sample('counter'), { id: 'other' })])
  const [look, get] = await Promise.all([thread.turn('look', null), thread.turn('get', null, { actor: 'other' })])
  expect([look, get]).toMatchObject([{ reply: expect.stringContaining('"self":"lab"') }, { reply: '0' }])
})
