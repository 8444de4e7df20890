import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventLine } from '../../src/host/event-lines.ts'
import { openHealth } from '../../src/ops/health.ts'
import type { Health, Store } from '../../src/store/store.ts'
import { type Fault, faultyStore } from '../host/faulty-store.ts'
import { type Ground, openGround, type TestTeam, teamOn } from './team.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})

afterAll(() => ground[Symbol.asyncDispose]())

/** Asks over HTTP, as a platform does. */
async function probe(team: TestTeam) {
  const health = await openHealth({ port: 0, isChosen: true, status: team.status, log: { write() {} } })
  return {
    async ready() {
      const response = await fetch(`http://127.0.0.1:${health.port}/ready`)
      const { reasons, standby } = (await response.json()) as { reasons: string[]; standby: boolean }
      return { code: response.status, reasons, standby }
    },
    [Symbol.asyncDispose]: () => health[Symbol.asyncDispose](),
  }
}

const fit: Health = { status: 'ok', schema: 'any', latency: 0 }
const fine = { code: 200, reasons: [], standby: false }
const not = (...reasons: string[]) => ({ code: 503, reasons, standby: false })

test('is not ready before the team is up, while the store is away, and once it has ended', async () => {
  let fault: Fault = 'none'
  let isUp = false
  const early = new Set<boolean>()
  const store = faultyStore(ground.store, () => {
    if (!isUp) early.add(team.status().isReady)
    return fault
  })
  await using team = teamOn(ground, [{ id: 'ra-counter', type: 'counter' }], { store })
  await using health = await probe(team)
  const seen = [await health.ready()]
  const started = team.start()
  seen.push(await health.ready())
  await started
  isUp = true
  seen.push(await health.ready())
  fault = 'away'
  const sent = team.send('ra-counter', 'add', 1)
  await team.event('store:failed')
  seen.push(await health.ready())
  fault = 'none'
  await Promise.all([sent, team.event('store:back')])
  seen.push(await health.ready())
  await team.stop()
  seen.push(await health.ready())
  expect([...early]).toEqual([false])
  expect(seen).toEqual([
    not('the team is idle'),
    not('the team is starting'),
    fine,
    not('the store does not answer'),
    fine,
    not('the team is stopped'),
  ])
})

test('a store that is not there at the start, or has no schema, is a reason and said once; then it is used', async () => {
  const found: Health[] = [
    { status: 'away', message: 'no route to it' },
    { status: 'away', message: 'still none' },
    { status: 'unfit', message: 'no schema', schema: undefined },
  ]
  const store = { ...ground.store, kind: 'hosted' as const, health: () => Promise.resolve(found.shift() ?? fit) }
  await using team = teamOn(ground, [{ id: 'rs-counter', type: 'counter' }], { store, retake: 50 })
  await using health = await probe(team)
  await team.start()
  const before = await health.ready()
  await team.ask('rs-counter', 'read')
  expect([before, await health.ready()]).toEqual([not('no route to it'), fine])
  const said = team.seen.filter(({ name }) => name === 'store:unusable' || name === 'store:usable').map((event) => eventLine(event).msg)
  expect(said).toEqual([
    expect.stringMatching(/no agent can start.* Could not initialize Supabase: no route to it\. The address does not answer/),
    expect.stringMatching(/Supabase coordinator not available: no schema\..* `troupe db migrate` loads it$/),
    'the store can be used',
  ])
})

test('an agent that could not be asked for so far says what the store says, and not that it runs elsewhere', async () => {
  let found: Health = { status: 'unfit', message: 'no schema', schema: undefined }
  const store = { ...ground.store, health: () => Promise.resolve(found) }
  await using team = teamOn(ground, [{ id: 'rg-counter', type: 'counter' }], { store, retake: 50 })
  await team.start()
  const restart = team.restart('rg-counter').catch(({ message }: Error) => message)
  const { status, standby, refusal } = team.why('rg-counter')
  expect([status, standby, refusal, await restart]).toEqual([
    'standby',
    undefined,
    'no schema',
    '"rg-counter" does not run here: its lease was not given to this process so far',
  ])
  found = fit
  await team.event('child:started', ({ id }) => id === 'rg-counter')
  expect(team.why('rg-counter').refusal).toBeUndefined()
})

test('an agent that never comes up is a reason, while it is tried and in quarantine', async () => {
  const agents = [
    { id: 'rb-counter', type: 'counter' },
    { id: 'rb-tried', type: 'refuser', backoff: { first: '1h', max: '1h' } },
    { id: 'rb-parked', type: 'refuser', budget: 1 },
  ]
  await using team = teamOn(ground, agents)
  await using health = await probe(team)
  await team.start()
  expect(await health.ready()).toEqual(not('in quarantine: rb-parked', 'not up yet: rb-tried'))
})

test('an agent that starts again is no reason, and a standby is ready', async () => {
  const agents = [{ id: 'rc-counter', type: 'counter', backoff: { first: '1h', max: '1h' }, maxAttempts: 1 }]
  await using team = teamOn(ground, agents)
  await using other = teamOn(ground, agents)
  await using health = await probe(team)
  await using second = await probe(other)
  await team.start()
  await other.start()
  await team.send('rc-counter', 'crash')
  await team.event('child:delayed')
  expect([await health.ready(), await second.ready()]).toEqual([fine, { ...fine, standby: true }])
})

test('a stop does not wait for a store that was asked how it is and does not answer', async () => {
  const asked = Promise.withResolvers<number | undefined>()
  const store: Store = {
    ...ground.store,
    health({ signal, timeout } = {}) {
      asked.resolve(timeout)
      return new Promise((resolve) => signal?.addEventListener('abort', () => resolve({ status: 'away', message: 'given up' })))
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const team = teamOn(ground, [{ id: 'rf-counter', type: 'counter' }], { store })
  const started = team.start()
  const patience = await asked.promise
  await team.stop()
  await started
  // It is asked again soon, and while it says nothing the process must not count as ready.
  expect([team.status().phase, team.seen, patience]).toEqual(['stopped', [], 10_000])
})
