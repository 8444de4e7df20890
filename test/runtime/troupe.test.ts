import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createUpkeep } from '../../src/host/upkeep.ts'
import { type Ground, openGround, type TestTeam, teamOn } from './team.ts'

let ground: Ground
/** For all who need none to themselves; each test has agents of its own. */
let team: TestTeam

beforeAll(async () => {
  ground = await openGround()
  team = teamOn(ground, [
    { id: 'relay', type: 'relay' },
    { id: 'peer', type: 'worker' },
    { id: 'a-counter', type: 'counter' },
    { id: 'c-worker', type: 'worker' },
    { id: 'e-worker', type: 'worker' },
    { id: 'i-counter', type: 'counter', maxAttempts: 1, backoff: { first: 50 } },
    { id: 'j-worker', type: 'worker', backoff: { first: 10 } },
    { id: 'l-worker', type: 'worker', maxAttempts: 1, turnTimeouts: { hang: '20ms' } },
  ])
  await team.start()
})

afterAll(async () => {
  await team?.stop()
  await ground?.[Symbol.asyncDispose]()
})

test('handles what it is told, and answers what it is asked', async () => {
  await team.send('relay', 'tell', { to: 'a-counter', type: 'add', body: 2 })
  await team.event('turn:committed', ({ id, type }) => id === 'a-counter' && type === 'add')
  expect(await team.ask('relay', 'ask', { to: 'a-counter', type: 'add', body: 3 })).toBe(5)
})

test('what is told to all is no dead letter of who has no handler for it, whoever told it', async () => {
  const agents = [
    { id: 'n-counter', type: 'counter' },
    { id: 'n-relay', type: 'relay' },
    { id: 'n-async', type: 'tally', durability: 'async' },
  ]
  await using team = teamOn(ground, agents, { poll: { min: 50, max: 100 } })
  await team.start()
  await team.send('n-relay', 'broadcast', 3) // a "news"
  await ground.backend.query(`select public.broadcast_message('python', 'More News', 'text')`)
  const ended = async () => {
    const { rows } = await ground.backend.query(`select d.agent_id, m.subject, d.status from agent_deliveries d
      join agent_messages m on m.id = d.message_id
      where m.subject in ('news', 'More News') and d.agent_id like 'n-%' and d.status <> 'ready' order by 1, 2 desc`)
    return rows.map((row) => Object.values(row as object).join(' '))
  }
  await expect
    .poll(ended, { timeout: 20_000 })
    .toEqual(['n-async news done', 'n-async More News done', 'n-counter news done', 'n-counter More News done', 'n-relay More News done'])
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
  expect(await team.ask('c-worker', 'once')).toEqual({ attempts: 2, runs: 1 })
})

test('a job that one agent creates is done by another', async () => {
  const job = await team.ask('relay', 'create', { n: 21 })
  await team.event('turn:committed', ({ source, handled }) => source === 'job' && handled === job)
  expect(await ground.backend.query(`select status, result from agent_jobs where id = '${job}'`)).toMatchObject({
    rows: [['completed', { twice: 42 }]],
  })
})

test('what fails is tried again, and is a dead letter after three attempts', async () => {
  const { id } = await team.send('e-worker', 'fail')
  const { reason } = await team.event('message:dead', ({ handled }) => handled === id)
  const failed = team.seen.flatMap((event) => (event.name === 'turn:failed' && event.id === 'e-worker' ? [event.attempt] : []))
  expect([reason, failed]).toEqual(['attempts_exhausted', [1, 2, 3]])
})

test('an address that nobody has is told', async () => {
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
  await team.send('relay', 'later', { type: 'tell', body: { to: 'a-counter', type: 'read' } })
  await team.event('turn:committed', ({ id, type }) => id === 'a-counter' && type === 'read')
})

test('messages wait while a crashed agent starts again', async () => {
  await team.send('i-counter', 'crash', null, { from: 'x' })
  for (const n of [1, 2, 3]) await team.send('i-counter', 'add', n, { from: 'y' })
  await team.event('child:started', ({ id, incarnation }) => id === 'i-counter' && incarnation === 2)
  await team.event('message:dead', ({ type }) => type === 'crash')
  expect(await team.ask('i-counter', 'read', null, { from: 'y' })).toEqual({ sum: 6, heard: [1, 2, 3] })
})

test('97 a message that ends its thread every time is a dead letter, and the agent comes up', async () => {
  await team.send('j-worker', 'poison')
  const dead = await team.event('message:dead', ({ id }) => id === 'j-worker')
  expect([dead.type, dead.reason]).toEqual(['poison', 'poison'])
  const { tried } = (await team.ask('j-worker', 'read')) as { tried: number }
  expect([tried, team.list().find(({ id }) => id === 'j-worker')?.incarnation]).toEqual([0, 4])
})

test('who kills an agent is not the fault of the message that it handles', async () => {
  await using team = teamOn(ground, [
    { id: 'k-worker', type: 'worker', shutdown: 0, maxAttempts: 1 },
    { id: 'k-peer', type: 'worker' },
  ])
  await team.start()
  const { id } = await team.send('k-worker', 'hang', 'k-peer')
  await team.event('turn:committed', (event) => event.id === 'k-peer')
  await team.restart('k-worker')
  const counted = `select attempts, interruptions from agent_deliveries where message_id = '${id}'`
  expect([
    (await ground.backend.query(counted)).rows,
    team.why('k-worker').exit?.exit,
    team.seen.filter(({ name }) => name === 'turn:failed' || name === 'message:dead'),
  ]).toEqual([[[0, 0]], 'shutdown', []])
})

test('a type of message may have a timeout of its own', async () => {
  await team.send('l-worker', 'hang', 'peer')
  const { error } = await team.event('turn:failed', ({ id }) => id === 'l-worker')
  expect(error).toContain('turnTimeouts')
})

test('a mailbox limit reaches the table', async () => {
  // No agent of the others' team: what a test before tells to all may be in its mailbox still.
  await using team = teamOn(ground, [{ id: 'm-counter', type: 'counter', mailboxLimit: 2 }])
  await team.start()
  const limits = await ground.backend.query("select mailbox_limit from agent_leases where agent_id = 'm-counter'")
  await team.pause('m-counter')
  const send = (n: number) => team.send('m-counter', 'add', n)
  await send(1)
  await send(2)
  await expect(send(3)).rejects.toMatchObject({ code: 'MAILBOX_FULL' })
  expect(limits.rows).toEqual([[2]])
})

test('amounts are numbers, however many zeros they end in', async () => {
  await ground.backend.query(
    `insert into trade_executions (market_id, side, amount, fees, entry_price) values ('zeros', 'YES', 1.50, 0.0, 0.410)`,
  )
  const rows = await ground.store.read('trade_executions', { market_id: 'zeros' })
  expect(rows).toMatchObject([{ amount: 1.5, fees: 0, entry_price: 0.41, pnl: null }])
})

test('what nobody claims any more is ended by the upkeep', async () => {
  const [job] = await ground.store.call('create_jobs', { p_batch: [{ job_type: 'abandoned', max_attempts: 1 }] })
  const message = { id: crypto.randomUUID(), from_agent: 'outside', to_agent: 'nobody', type: 'hi', expires_in_ms: 1 }
  await ground.store.call('send_messages', { p_batch: { messages: [message] } })
  await ground.store.call('claim_jobs', { p_batch: [{ agent_id: 'gone', job_types: ['abandoned'], lease_ms: 100 }] })
  const freed = Promise.withResolvers<void>()
  const tasks = [{ name: 'sweep_rows' as const, every: 20, limit: 500 }]
  const upkeep = createUpkeep({ store: ground.store, mayRun: () => true, onFreed: freed.resolve, tasks })
  upkeep.start()
  await freed.promise
  await upkeep.close()
  const jobs = await ground.backend.query(`select status, dead_reason from agent_jobs where id = '${job?.job_id}'`)
  const letters = await ground.backend.query(`select status, dead_reason from agent_deliveries where message_id = '${message.id}'`)
  expect([...jobs.rows, ...letters.rows]).toEqual([
    ['failed', 'lease_expired'],
    ['dead', 'unknown_address'],
  ])
})

test('a stop in the middle of a start leaves nothing that goes on', async () => {
  const retake = 4_321
  using intervals = vi.spyOn(globalThis, 'setInterval')
  const early = teamOn(ground, [{ id: 'early', type: 'counter' }], { retake })
  const started = early.start()
  // It has what it needs, and is about to begin.
  while (early.status().store.kind === 'unknown') await new Promise(setImmediate)
  await early.stop({ grace: 1_000 })
  await started
  const left = intervals.mock.results.filter(({ value }, at) => intervals.mock.calls[at]?.[1] === retake && value.hasRef())
  expect(left).toEqual([])
})
