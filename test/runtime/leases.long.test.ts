import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Fault, faultyStore } from '../host/faulty-store.ts'
import { type Ground, openGround, teamOn } from './team.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})

afterAll(() => ground[Symbol.asyncDispose]())

test('a second Troupe stands by, and takes over from one that is killed', async () => {
  const agents = [{ id: 's-counter', type: 'counter' }]
  const first = teamOn(ground, agents, { lease: 1_500 })
  await using second = teamOn(ground, agents, { lease: 1_500 })
  await first.start()
  await first.ask('s-counter', 'add', 1)
  await second.start()
  expect([second.list()[0]?.status, second.status().isReady]).toEqual(['standby', true])
  first.kill()
  await second.event('child:started', ({ id }) => id === 's-counter')
  expect(await second.ask('s-counter', 'add', 1)).toBe(2)
})

test('a standby asks again in the moment in which a lease runs out, and not when it happens to look', async () => {
  const agents = [{ id: 'z-counter', type: 'counter' }]
  const first = teamOn(ground, agents, { lease: 1_500 })
  await using second = teamOn(ground, agents, { retake: 10 * 60_000 })
  await first.start()
  first.kill()
  await second.start()
  expect(second.list()[0]?.status).toBe('standby')
  await second.event('child:started')
})

test('a stop drains: what was taken up is finished, what waits is handled by the next', async () => {
  const agents = [{ id: 't-counter', type: 'counter' }]
  const numbers = Array.from({ length: 200 }, (_, n) => n)
  {
    await using team = teamOn(ground, agents)
    await team.start()
    await Promise.all(numbers.map((n) => team.send('t-counter', 'add', n, { from: 'x' })))
    await team.stop()
    expect(team.seen.filter(({ name }) => name === 'turn:failed' || name === 'message:dead')).toEqual([])
  }
  await using next = teamOn(ground, agents)
  await next.start()
  const { heard } = (await next.ask('t-counter', 'read', null, { from: 'x' })) as { heard: number[] }
  expect(heard).toEqual(numbers)
})

test('with AGENT_MODE each process takes the lowest instance that is free', async () => {
  const agents = [
    { id: 'u-counter', type: 'counter', replicas: 2 },
    { id: 'u-relay', type: 'relay' },
  ]
  const env = { AGENT_MODE: 'counter' }
  await using first = teamOn(ground, agents, { env })
  await using second = teamOn(ground, agents, { env })
  await first.start()
  await second.start()
  const running = (team: typeof first) => team.list().flatMap(({ id, status }) => (status === 'running' ? [id] : []))
  expect([running(first), running(second)]).toEqual([['u-counter-1'], ['u-counter-2']])
})

test('a pause keeps messages until the agent goes on', async () => {
  await using team = teamOn(ground, [{ id: 'v-counter', type: 'counter' }])
  await team.start()
  await team.pause('v-counter')
  expect(team.list()[0]?.status).toBe('paused')
  await expect(team.ask('v-counter', 'read')).rejects.toMatchObject({ code: 'ACTOR_DOWN' })
  await team.send('v-counter', 'add', 4)
  await team.resume('v-counter')
  await team.event('turn:committed', ({ type }) => type === 'add')
  expect(await team.ask('v-counter', 'read')).toMatchObject({ sum: 4 })
})

test('a team that gave up starts again when one of its agents is to', async () => {
  const config = {
    teams: [
      { id: 'frail', intensity: { max: 0 }, agents: [{ id: 'y-counter', type: 'counter' }] },
      { id: 'sound', agents: [{ id: 'y-relay', type: 'relay' }] },
    ],
  }
  await using team = teamOn(ground, [], { config })
  await team.start()
  await team.send('y-counter', 'crash')
  await team.event('child:quarantined', ({ id }) => id === 'frail')
  const { status, teamStatus, exit } = team.why('y-counter')
  expect([status, teamStatus, exit?.exit]).toEqual(['stopped', 'quarantined', 'crash'])
  team.forget()
  await team.restart('y-counter')
  await team.event('child:started', ({ id }) => id === 'y-counter')
})

test('94 what is held against an agent outlives the process', async () => {
  const agents = [
    { id: 'w-worker', type: 'worker', budget: 1 },
    { id: 'w-relay', type: 'relay' },
  ]
  {
    await using team = teamOn(ground, agents)
    await team.start()
    await team.send('w-worker', 'poison')
    await team.event('child:quarantined')
    expect(team.status()).toMatchObject({ isReady: false, reasons: ['in quarantine: w-worker'] })
  }
  await using again = teamOn(ground, agents)
  await again.start()
  expect([again.why('w-worker').status, again.why('w-worker').exits]).toEqual(['quarantined', 1])
  await again.restart('w-worker')
  expect(again.status().isReady).toBe(true)
})

test('a process without a team left ends with 1, and one that is stopped with 0', async () => {
  const teams = [{ id: 'team', intensity: { max: 0 }, agents: [{ id: 'x-worker', type: 'worker' }] }]
  await using team = teamOn(ground, [], { config: { teams } })
  await team.start()
  await team.send('x-worker', 'poison')
  expect(await team.ended).toBe(1)
  await using other = teamOn(ground, [{ id: 'y-worker', type: 'worker' }])
  await other.start()
  await other.stop()
  expect(await other.ended).toBe(0)
})

test('while the store is away nothing starts again, and nothing is lost when it is back', async () => {
  let phase: 'up' | 'last call' | 'away' = 'up'
  const store = faultyStore(ground.store, (name) => {
    if (phase === 'away') return 'away'
    if (phase === 'last call' && name === 'send_messages') phase = 'away'
    return 'none'
  })
  await using team = teamOn(ground, [{ id: 'z-counter', type: 'counter', maxAttempts: 1 }], { store })
  await team.start()
  await team.send('z-counter', 'add', 1)
  await team.event('turn:committed', ({ type }) => type === 'add')
  phase = 'last call'
  await team.send('z-counter', 'crash')
  await team.event('store:failed')
  const { reasons, isReady } = team.status()
  expect([isReady, reasons]).toEqual([false, ['the store does not answer']])
  phase = 'up'
  await team.event('child:started', ({ incarnation }) => incarnation === 2)
  const order = team.seen.flatMap(({ name }) => (name === 'store:back' || name === 'child:exited' ? [name] : []))
  expect(order).toEqual(['store:back', 'child:exited'])
  expect(await team.ask('z-counter', 'read')).toEqual({ sum: 1, heard: [1] })
})

test('a Troupe that finds no store stands by, and starts when it is there', async () => {
  let fault: Fault = 'away'
  const store = {
    ...faultyStore(ground.store, () => fault),
    health: () => (fault === 'away' ? Promise.resolve(away) : ground.store.health()),
  }
  const away = { status: 'away', message: 'no answer, as asked' } as const
  await using team = teamOn(ground, [{ id: 'aa-counter', type: 'counter' }], { store, lease: 1_000 })
  await team.start()
  expect(team.status()).toMatchObject({ isReady: false, reasons: ['no answer, as asked'], agents: { standby: 1 } })
  fault = 'none'
  await team.event('child:started', ({ id }) => id === 'aa-counter')
  expect(team.status().isReady).toBe(true)
})
