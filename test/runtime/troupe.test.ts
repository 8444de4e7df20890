import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ground, openGround, teamOn } from './team.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})

afterAll(() => ground[Symbol.asyncDispose]())

test('handles what it is told, and answers what it is asked', async () => {
  await using team = teamOn(ground, [
    { id: 'a-counter', type: 'counter' },
    { id: 'a-relay', type: 'relay' },
  ])
  await team.start()
  await team.send('a-relay', 'tell', { to: 'a-counter', type: 'add', body: 2 })
  await team.event('turn:committed', ({ id, type }) => id === 'a-counter' && type === 'add')
  expect(await team.ask('a-relay', 'ask', { to: 'a-counter', type: 'add', body: 3 })).toBe(5)
})

test('saved state outlives a restart of the agent, and of the whole team', async () => {
  const agents = [{ id: 'b-counter', type: 'counter' }]
  {
    await using team = teamOn(ground, agents)
    await team.start()
    expect(await team.ask('b-counter', 'add', 1)).toBe(1)
    await team.restart('b-counter')
    expect(await team.ask('b-counter', 'add', 1)).toBe(2)
  }
  await using again = teamOn(ground, agents)
  await again.start()
  expect(await again.ask('b-counter', 'add', 1)).toBe(3)
})

test('a step is not run twice when its turn is repeated', async () => {
  await using team = teamOn(ground, [{ id: 'c-worker', type: 'worker' }])
  await team.start()
  expect(await team.ask('c-worker', 'once')).toEqual({ attempts: 2, runs: 1 })
})

test('a job that one agent creates is done by another', async () => {
  await using team = teamOn(ground, [
    { id: 'd-worker', type: 'worker' },
    { id: 'd-relay', type: 'relay' },
  ])
  await team.start()
  const job = await team.ask('d-relay', 'create', { n: 21 })
  await team.event('turn:committed', ({ source, handled }) => source === 'job' && handled === job)
  expect(await ground.backend.query(`select status, result from agent_jobs where id = '${job}'`)).toMatchObject({
    rows: [['completed', { twice: 42 }]],
  })
})

test('what fails is tried again, and is a dead letter after three attempts', async () => {
  await using team = teamOn(ground, [{ id: 'e-worker', type: 'worker' }])
  await team.start()
  const { id } = await team.send('e-worker', 'fail')
  const dead = await team.event('message:dead')
  const failed = team.seen.flatMap((event) => (event.name === 'turn:failed' ? [event.attempt] : []))
  expect([dead.handled, dead.reason, failed]).toEqual([id, 'attempts_exhausted', [1, 2, 3]])
})

test('an address that nobody has is told', async () => {
  await using team = teamOn(ground, [{ id: 'f-counter', type: 'counter' }])
  await team.start()
  const { deliveries } = await team.send('nobody', 'hi')
  expect(deliveries).toEqual([{ agent: 'nobody', status: 'ready', unknown: true }])
  await expect(team.ask('nobody', 'hi', null, { timeout: 300 })).rejects.toMatchObject({ code: 'ACTOR_NOT_FOUND' })
})

test('a broadcast reaches everybody', async () => {
  await using team = teamOn(ground, [
    { id: 'g-relay', type: 'relay' },
    { id: 'g-worker', type: 'worker', replicas: 2 },
  ])
  await team.start()
  await team.send('g-relay', 'broadcast', 'rain')
  for (const id of ['g-worker-1', 'g-worker-2']) {
    await team.event('turn:committed', (event) => event.id === id && event.type === 'news')
    expect(await team.ask(id, 'read')).toMatchObject({ news: ['rain'] })
  }
})

test('a timer rings', async () => {
  await using team = teamOn(ground, [{ id: 'h-relay', type: 'relay' }])
  await team.start()
  await team.send('h-relay', 'later', { type: 'broadcast', body: 'late' })
  await team.event('turn:committed', ({ type }) => type === 'broadcast')
})

test('messages wait while a crashed agent starts again', async () => {
  await using team = teamOn(ground, [{ id: 'i-counter', type: 'counter', maxAttempts: 1, backoff: { first: 50 } }])
  await team.start()
  await team.send('i-counter', 'crash', null, { from: 'x' })
  for (const n of [1, 2, 3]) await team.send('i-counter', 'add', n, { from: 'y' })
  await team.event('child:started', ({ incarnation }) => incarnation === 2)
  await team.event('message:dead', ({ type }) => type === 'crash')
  expect(await team.ask('i-counter', 'read', null, { from: 'y' })).toEqual({ sum: 6, heard: [1, 2, 3] })
})

test('97 a message that ends its thread every time is a dead letter, and the agent comes up', async () => {
  await using team = teamOn(ground, [{ id: 'j-worker', type: 'worker', backoff: { first: 10 } }])
  await team.start()
  await team.send('j-worker', 'poison')
  const dead = await team.event('message:dead')
  expect([dead.type, dead.reason]).toEqual(['poison', 'poison'])
  expect(await team.ask('j-worker', 'read')).toMatchObject({ tried: 0 })
})
