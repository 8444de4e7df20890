import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import { deliveries, hostOf, message, only, type Turn } from './host.ts'

/** One agent with some messages in its memory. */
async function worker(db: Database, count = 1) {
  const n1 = hostOf(db.sql)
  const { worker: token = 0 } = await n1.hold('worker')
  const inbox = Array.from({ length: count }, (_, n) => message('s', 'worker', n))
  await n1.send({ messages: inbox })
  await n1.take({ agent_id: 'worker', lease_token: token, limit: 1000 })
  const turn = (index = 0, more: Record<string, unknown> = {}): Turn => ({
    agent_id: 'worker',
    lease_token: token,
    message: { id: inbox[index]?.id, attempts: 0 },
    ...more,
  })
  const commit = async (...turns: Turn[]) => (await n1.commit({ turns })).turns
  return { n1, token, inbox, turn, commit }
}

/** Everything a turn can write, counted. */
async function written(db: Database) {
  const [counts] = await db.sql`select
    (select count(*)::int from public.agent_messages where from_agent = 'worker') as messages,
    (select count(*)::int from public.agent_jobs) as jobs,
    (select count(*)::int from public.agent_timers) as timers,
    (select count(*)::int from public.trade_opportunities) as opportunities,
    (select coalesce(sum(version), 0)::int from public.agent_state) as state,
    (select count(*)::int from public.agent_steps) as steps`
  return counts
}

const opportunity = () => ({
  id: randomUUID(),
  market_id: 'm1',
  side: 'YES',
  current_price: 0.4,
  suggested_position: 5,
  confidence: 0.9,
  edge: 0.2,
  discovered_by: 'worker',
  discovery_method: 'hedge_scan',
})
const effects = () => ({
  state: { version: 0, value: '{"b":1,"a":[1.50]}' },
  reply: { id: randomUUID(), to_agent: 's', body: '"yes"' },
  messages: [message('', 'elsewhere', 'told'), message('', null, 'to all')],
  jobs: [{ id: randomUUID(), job_type: 'report' }],
  timers: [{ name: 'tick', type: 'tick', every_ms: 1000 }],
  writes: [{ fn: 'publish_opportunity', args: { opportunity: opportunity() } }],
})
const everything = { messages: 4, jobs: 2, timers: 1, opportunities: 1, state: 1, steps: 0 } // publish adds a job and a broadcast
const nothing = { messages: 0, jobs: 0, timers: 0, opportunities: 0, state: 0, steps: 0 }

describe('a turn', () => {
  test('writes everything it collected in one transaction, as its agent', async () => {
    await using db = await freshDatabase()
    const { n1, token, turn, commit, inbox } = await worker(db)
    await n1.steps({ agent_id: 'worker', lease_token: token, message_id: inbox[0]?.id, key: 'k', phase: 'start' })
    const [answer] = await commit(turn(0, { ...effects(), steps: true }))
    expect(answer).toMatchObject({ verdict: 'ok', jobs: [{ verdict: 'ok' }], writes: [{ verdict: 'ok' }] })
    expect(answer?.messages?.map(({ deliveries }) => deliveries.map(({ agent_id }) => agent_id))).toEqual([['elsewhere'], [], []])
    expect(await written(db)).toEqual(everything)
    expect(await db.sql`select state, version, token from public.agent_state`).toEqual([
      { state: '{"b":1,"a":[1.50]}', version: '1', token: String(token) },
    ])
    expect(await db.sql`select created_by from public.agent_jobs where job_type = 'report'`).toEqual([{ created_by: 'worker' }])
    expect(await deliveries(db.sql)).toMatchObject([{ agent_id: 'elsewhere' }, { agent_id: 'worker', status: 'done' }])
  })

  test('DECISIONS 4: wrong data in one of many turns fails that one with its code, the others stand', async () => {
    await using db = await freshDatabase()
    const wrong: [string, Record<string, unknown>, string][] = [
      ['a NUL in a body', { messages: [message('', 'b', null, { body: '"\\u0000"' })] }, '22P05'],
      ['a lone surrogate in a body', { messages: [message('', 'b', null, { body: '"\\udc00"' })] }, '22P02'],
      ['a lone surrogate in a reply', { reply: { id: randomUUID(), to_agent: 's', body: '"\\ud800"' } }, '22P02'],
      ['a body that is not JSON', { messages: [message('', 'b', null, { body: 'yes' })] }, '22P02'],
      ['an id that is no uuid', { messages: [{ ...message('', 'b'), id: 'x' }] }, '22P02'],
      ['a body over 1 MiB', { messages: [message('', 'b', 'x'.repeat(1_048_576))] }, '23514'],
      ['a state over 1 MiB', { state: { version: 0, value: JSON.stringify('x'.repeat(1_048_576)) } }, '23514'],
      ['a state that is not JSON', { state: { version: 0, value: '{' } }, '22P02'],
      ['a state without a version', { state: { value: '{}' } }, 'PT400'],
      ['a job without a type', { jobs: [{ id: randomUUID() }] }, '23502'],
      ['a job of priority 11', { jobs: [{ job_type: 'report', priority: 11 }] }, '23514'],
      ['a timer without a name', { timers: [{ type: 'tick', every_ms: 5 }] }, '23502'],
      ['a timer that could never be sent', { timers: [{ name: 't', type: 't', every_ms: 5, body: 'no' }] }, '22P02'],
      ['a timer that never comes again', { timers: [{ name: 't', type: 't', every_ms: 9e15, due_in_ms: 1 }] }, '23514'],
      ['a function that is not on the list', { writes: [{ fn: 'commit_turns', args: {} }] }, 'PT403'],
      ['a function that refuses', { writes: [{ fn: 'review_opportunity', args: { decision: 'maybe' } }] }, 'PT400'],
      [
        'a negative price',
        { writes: [{ fn: 'publish_opportunity', args: { opportunity: { ...opportunity(), current_price: -1 } } }] },
        '23514',
      ],
      ['an unknown outcome', { outcome: 'perhaps' }, 'PT400'],
      ['an outcome of a job', { outcome: 'released' }, 'PT400'],
      ['an error too precise to count', { outcome: 'interrupted' }, 'PT400'],
    ]
    const { turn, commit, n1 } = await worker(db, wrong.length)
    const { other = 0 } = await n1.hold('other')
    const neighbour = () => ({ agent_id: 'other', lease_token: other, turn_id: randomUUID(), messages: [message('', 'b')] })
    for (const [index, [name, data, code]] of wrong.entries()) {
      const answers = await commit(neighbour(), turn(index, { ...effects(), ...data }), neighbour())
      expect([name, ...answers.map(({ verdict, code }) => code ?? verdict)]).toEqual([name, 'ok', code, 'ok'])
      expect(answers[1]?.error).toBeTruthy()
      const settled = await commit(turn(index, { outcome: 'dead', reason: 'BODY_INVALID', error: answers[1]?.error }))
      expect(only(settled).verdict).toBe('ok')
    }
    expect(await written(db)).toEqual({ ...nothing, steps: 2 * wrong.length }) // the neighbours' own
    expect(await db.sql`select from public.agent_messages where from_agent = 'other'`).toHaveLength(2 * wrong.length)
  })

  test('DECISIONS 4: raw NUL and lone surrogates refuse the whole call by name, and nothing is written', async () => {
    await using db = await freshDatabase()
    const { turn, commit } = await worker(db)
    const raw = (text: string) => db.sql`select public.commit_turns(${text}::text::jsonb)`
    const batch = JSON.stringify({ turns: [turn(0, { ...effects(), error: 'HERE' })] })
    await expect(raw(batch.replace('HERE', '\\u0000'))).rejects.toMatchObject({ code: '22P05' })
    await expect(raw(batch.replace('HERE', '\\ud800'))).rejects.toMatchObject({ code: '22P02' })
    await expect(raw('{"turns": {}}')).rejects.toMatchObject({ code: '22023' })
    expect(await written(db)).toEqual(nothing)
    expect(only(await commit(turn())).verdict).toBe('ok')
  })

  test('followers of a failed turn of the same agent are stale, other agents’ turns stand', async () => {
    await using db = await freshDatabase()
    const { n1, token, turn } = await worker(db, 4)
    const { other = 0 } = await n1.hold('other')
    const state = (version: number) => ({ state: { version, value: String(version) } })
    const neighbour = (version: number) => ({ agent_id: 'other', lease_token: other, ...state(version) })
    const { turns } = await n1.commit({
      turns: [
        turn(0, state(0)),
        neighbour(0),
        turn(1, { ...state(1), writes: [{ fn: 'nothing', args: {} }] }),
        turn(2, state(2)),
        neighbour(1),
        { ...turn(3), lease_token: token + 1 },
      ],
    })
    expect(turns.map(({ verdict, code, reason }) => code ?? reason ?? verdict)).toEqual(['ok', 'ok', 'PT403', 'follows', 'ok', 'lease'])
    expect(await db.sql`select agent_id, version, state from public.agent_state order by agent_id`).toEqual([
      { agent_id: 'other', version: '2', state: '1' },
      { agent_id: 'worker', version: '1', state: '0' },
    ])
    expect((await deliveries(db.sql)).map(({ status }) => status)).toEqual(['done', 'ready', 'ready', 'ready'])
  })

  test('several turns of one agent in a batch go on from each other, as it ran ahead', async () => {
    await using db = await freshDatabase()
    const { turn, commit } = await worker(db, 64)
    const turns = Array.from({ length: 64 }, (_, n) =>
      turn(n, { state: { version: n, value: String(n + 1) }, messages: [message('', 'b', n)] }),
    )
    expect((await commit(...turns)).every(({ verdict }) => verdict === 'ok')).toBe(true)
    expect(await db.sql`select version, state from public.agent_state`).toEqual([{ version: '64', state: '64' }])
    const told = await db.sql<
      { body: string }[]
    >`select m.body from public.agent_deliveries d join public.agent_messages m on m.id = d.message_id
      where d.agent_id = 'b' order by d.seq`
    expect(told.map(({ body }) => Number(body))).toEqual(turns.map((_, n) => n))
  })

  test('a state made from another version than the stored one is stale, with nothing of its turn', async () => {
    await using db = await freshDatabase()
    const { turn, commit } = await worker(db, 2)
    await commit(turn(0, { state: { version: 0, value: '"a"' } }))
    for (const version of [0, 2, 7]) {
      expect(await commit(turn(1, { ...effects(), state: { version, value: '"b"' } }))).toEqual([{ verdict: 'stale', reason: 'state' }])
    }
    // The same text from the same version is no repeat either: this message has not been handled.
    expect(await commit(turn(1, { ...effects(), state: { version: 0, value: '"a"' } }))).toEqual([{ verdict: 'stale', reason: 'state' }])
    expect(await written(db)).toEqual({ ...nothing, state: 1 })
  })

  test('without the token of its agent writes nothing', async () => {
    await using db = await freshDatabase()
    const { commit, turn, token } = await worker(db)
    const ghost = { agent_id: 'ghost', message: undefined }
    const wrong = [undefined, null, String(token), 0, token + 1].flatMap((lease_token) => [{ lease_token }, { ...ghost, lease_token }])
    for (const more of [...wrong, { agent_id: undefined }, { agent_id: null, lease_token: null }]) {
      expect(only(await commit({ ...turn(0, effects()), ...more } as Turn))).toMatchObject({ verdict: 'stale', reason: 'lease' })
    }
    expect(await written(db)).toEqual(nothing)
  })

  test('a message of another agent, an unknown one, or one that nobody has taken is stale', async () => {
    await using db = await freshDatabase()
    const { n1, commit, turn } = await worker(db)
    const [foreign, untaken] = [message('s', 'other'), message('s', 'worker')]
    await n1.send({ messages: [foreign, untaken] })
    for (const id of [foreign.id, untaken.id, randomUUID()]) {
      expect(only(await commit(turn(0, { ...effects(), message: { id, attempts: 0 } })))).toEqual({ verdict: 'stale', reason: 'delivery' })
    }
    expect(only(await commit(turn(0, { ...effects(), message: undefined, job: { id: randomUUID(), lease_token: 1 } })))).toEqual({
      verdict: 'stale',
      reason: 'job',
    })
    expect(await written(db)).toEqual(nothing)
  })
})

describe('10: a commit repeated after its answer was lost is nothing twice', () => {
  test('done: with its messages as they are now, for the mailboxes that have not got them', async () => {
    await using db = await freshDatabase()
    const { n1, turn } = await worker(db)
    const { b = 0 } = await n1.hold('b')
    const batch = { turns: [turn(0, { ...effects(), messages: [message('', 'b', 1), message('', null, 2)] })], stamps: { b } }
    const first = await n1.commit(batch)
    const again = await n1.commit(batch)
    expect([only(first.turns).verdict, only(again.turns).verdict]).toEqual(['ok', 'repeat'])
    const given = (turns: typeof first.turns) => only(turns).messages?.map(({ id, deliveries }) => ({ id, deliveries }))
    expect(given(again.turns)).toEqual(given(first.turns))
    expect(only(first.turns).messages?.[0]?.deliveries).toMatchObject([{ agent_id: 'b', stamped: true, status: 'ready' }])
    expect(await written(db)).toEqual(everything)
  })

  test('retry: one attempt, one due time', async () => {
    await using db = await freshDatabase()
    const { turn, commit } = await worker(db)
    const failed = turn(0, { ...effects(), outcome: 'retry', retry_in_ms: 5000, error: 'first' })
    expect([only(await commit(failed)), only(await commit(failed))]).toEqual([{ verdict: 'ok' }, { verdict: 'repeat' }])
    const rows = await db.sql`select status, attempts, error, retry_at > clock_timestamp() as waits from public.agent_deliveries`
    expect(rows).toEqual([{ status: 'ready', attempts: 1, error: 'first', waits: true }])
    expect(await written(db)).toEqual(nothing)
    // Late, after the next attempt has begun: it is not that attempt's verdict.
    const second = turn(0, { message: { ...(failed.message as object), attempts: 1 }, outcome: 'retry' })
    expect([only(await commit(second)).verdict, only(await commit(failed)).verdict]).toEqual(['ok', 'stale'])
  })

  test('dead: one end, one reason', async () => {
    await using db = await freshDatabase()
    const { turn, commit } = await worker(db)
    const dead = turn(0, { ...effects(), outcome: 'dead', reason: 'BODY_INVALID', error: 'no' })
    expect([only(await commit(dead)), only(await commit(dead))]).toEqual([{ verdict: 'ok' }, { verdict: 'repeat' }])
    expect(await deliveries(db.sql)).toMatchObject([{ status: 'dead', dead_reason: 'BODY_INVALID', attempts: 1 }])
    expect(only(await commit(turn(0, effects())))).toEqual({ verdict: 'stale', reason: 'delivery' })
    expect(await written(db)).toEqual(nothing)
  })

  test('an init, told apart by its state; one without state, and a turn of memory only, by its turn_id', async () => {
    await using db = await freshDatabase()
    const { n1, token, commit } = await worker(db)
    const init = {
      agent_id: 'worker',
      lease_token: token,
      state: { version: 0, value: '{}' },
      timers: [{ name: 't', type: 't', due_in_ms: 5 }],
    }
    expect((await commit(init)).map(({ verdict }) => verdict)).toEqual(['ok'])
    await db.sql`delete from public.agent_timers` // it has fired
    expect((await commit(init)).map(({ verdict }) => verdict)).toEqual(['repeat'])
    const memory = { agent_id: 'worker', lease_token: token, turn_id: randomUUID(), ...effects(), reply: undefined, state: undefined }
    const batch = { turns: [memory], stamps: {} }
    expect([only((await n1.commit(batch)).turns).verdict, only((await n1.commit(batch)).turns).verdict]).toEqual(['ok', 'repeat'])
    expect(await written(db)).toEqual({ ...everything, messages: 3, steps: 1 })
  })

  test('job: done, retry, dead and released', async () => {
    await using db = await freshDatabase()
    const { n1, token, commit } = await worker(db)
    await n1.call(
      'create_jobs',
      Array.from({ length: 4 }, () => ({ job_type: 'report', backoff_ms: 0 })),
    )
    const claimed = await n1.call<{ jobs: { job_id: string; lease_token: number }[] }[]>('claim_jobs', [
      { agent_id: 'worker', lease_token: token, job_types: ['report'], limit: 4 },
    ])
    const outcomes = ['done', 'retry', 'dead', 'released']
    const turns = only(claimed).jobs.map(({ job_id, lease_token }, n) => ({
      agent_id: 'worker',
      lease_token: token,
      job: { id: job_id, lease_token, result: { n } },
      outcome: outcomes[n],
      messages: [message('', 'b', n)],
      error: 'e',
    }))
    expect((await commit(...turns)).map(({ verdict }) => verdict)).toEqual(['ok', 'ok', 'ok', 'ok'])
    expect((await commit(...turns)).map(({ verdict }) => verdict)).toEqual(['repeat', 'repeat', 'repeat', 'repeat'])
    const rows = await db.sql`select status, attempt, dead_reason from public.agent_jobs order by status, attempt`
    expect(rows).toEqual([
      { status: 'completed', attempt: 1, dead_reason: null },
      { status: 'failed', attempt: 1, dead_reason: 'fatal' },
      { status: 'pending', attempt: 0, dead_reason: null },
      { status: 'pending', attempt: 1, dead_reason: null },
    ])
    expect(await written(db)).toMatchObject({ messages: 1 })
  })
})

describe('15: attempts and interruptions are counted apart', () => {
  test('an attempt written before a suspect message runs alone is not counted twice', async () => {
    await using db = await freshDatabase()
    const { turn, commit, inbox } = await worker(db)
    const id = inbox[0]?.id
    const started = turn(0, { outcome: 'started' })
    expect((await commit(started)).concat(await commit(started)).map(({ verdict }) => verdict)).toEqual(['ok', 'repeat'])
    await commit(turn(0, { message: { id, attempts: 1, counted: true }, outcome: 'retry', retry_in_ms: 0 }))
    expect(await deliveries(db.sql)).toMatchObject([{ status: 'ready', attempts: 1, interruptions: 0 }])
    await commit(turn(0, { message: { id, attempts: 1 }, outcome: 'started' }))
    await commit(turn(0, { message: { id, attempts: 2, counted: true }, outcome: 'dead' }))
    expect(await deliveries(db.sql)).toMatchObject([{ status: 'dead', attempts: 2 }])
  })

  test('and is taken back when the run ends as interrupted, or blocked', async () => {
    await using db = await freshDatabase()
    const { turn, commit, inbox } = await worker(db)
    const id = inbox[0]?.id
    const verdicts: unknown[] = []
    const ends = [{ outcome: 'interrupted' }, { outcome: 'retry', retry_in_ms: 0 }]
    for (const [interruptions, end] of ends.entries()) {
      await commit(turn(0, { outcome: 'started' }))
      const ended = turn(0, { message: { id, attempts: 1, interruptions, counted: true, taken_back: true }, ...end })
      for (const one of [ended, ended]) verdicts.push(only(await commit(one)).verdict)
    }
    expect([verdicts, await deliveries(db.sql)]).toMatchObject([
      ['ok', 'repeat', 'ok', 'repeat'],
      [{ status: 'ready', attempts: 0, interruptions: 1 }],
    ])
  })

  test('a shared thread’s death interrupts: not an attempt, dead at 10', async () => {
    await using db = await freshDatabase()
    const { turn, commit, inbox } = await worker(db)
    const interrupted = (interruptions: number) =>
      turn(0, { message: { id: inbox[0]?.id, attempts: 0, interruptions }, outcome: 'interrupted' })
    for (let n = 0; n < 10; n++) {
      expect([only(await commit(interrupted(n))).verdict, only(await commit(interrupted(n))).verdict]).toEqual(['ok', 'repeat'])
      expect(await deliveries(db.sql)).toMatchObject([{ status: n < 9 ? 'ready' : 'dead', attempts: 0, interruptions: n + 1 }])
    }
    expect(await deliveries(db.sql)).toMatchObject([{ dead_reason: 'interrupted' }])
  })
})

test('56: what is not about one turn’s data fails the call, and the same call stands later', async () => {
  await using db = await freshDatabase()
  const { turn } = await worker(db)
  const impatient = db.connect({ max: 1 })
  await impatient`set lock_timeout = '50ms'`
  const blocker = await db.sql.reserve()
  await blocker`begin`
  await blocker`select from public.agent_deliveries for update`
  const batch = { turns: [turn(0, effects())] }
  await expect(hostOf(impatient).commit(batch)).rejects.toMatchObject({ code: '55P03' })
  await impatient`set statement_timeout = '50ms'`
  await impatient`set lock_timeout = 0`
  await expect(hostOf(impatient).commit(batch)).rejects.toMatchObject({ code: '57014' })
  await blocker`rollback`
  blocker.release()
  await impatient`set statement_timeout = 0`
  await impatient`set default_transaction_read_only = on`
  await expect(hostOf(impatient).commit(batch)).rejects.toMatchObject({ code: '25006' }) // 58: a failover
  expect(await written(db)).toEqual(nothing)
  await impatient`set default_transaction_read_only = off`
  expect(only((await hostOf(impatient).commit(batch)).turns).verdict).toBe('ok')
})

test('a commit refills mailboxes and reads replies after its turns, in the same answer', async () => {
  await using db = await freshDatabase()
  const { n1, token, turn, inbox } = await worker(db)
  const waiting = message('', 'worker', 'to myself')
  const { refills, replies } = await n1.commit({
    turns: [turn(0, { messages: [waiting], reply: { id: randomUUID(), to_agent: 's', body: '1' } })],
    refills: [
      { agent_id: 'worker', lease_token: token },
      { agent_id: 'worker', lease_token: token + 1 },
    ],
    awaiting: inbox.map(({ id }) => id),
  })
  expect(refills.map(({ verdict, messages }) => [verdict, messages.map(({ id }) => id)])).toEqual([
    ['ok', [waiting.id]],
    ['stale', []],
  ])
  expect(replies).toMatchObject([{ status: 'replied', reply: '1' }])
  expect(await n1.commit({ turns: [] })).toEqual({ turns: [], refills: [], replies: [] })
})

test('68: a service role, as which the API calls, can run every function of messages and turns', async () => {
  await using db = await freshDatabase()
  const api = hostOf(db.connect({ role: 'service_role' }))
  const { a = 0, b = 0 } = await api.hold('a', 'b')
  await api.sync([{ agent_id: 'a', lease_token: a, status: 'working', supervision: { exits: [] } }])
  await api.sync([{ agent_id: 'a', lease_token: a, status: 'blocked', blocked_reason: 'why' }])
  const [note, spare] = [message('x', 'b'), message('x', 'b')]
  await api.send({ messages: [note, spare, message('x', 'b', null, { delay_ms: 1 })] })
  const taken = only(await api.take({ agent_id: 'b', lease_token: b, have: [] }))
  expect(taken.messages.length).toBeGreaterThanOrEqual(3) // the trouble of a as well
  const at = { agent_id: 'b', lease_token: b, message_id: note.id }
  await api.steps({ ...at, key: 's', phase: 'start' }, { ...at, key: 's', phase: 'finish', result: '1' })
  await api.functions({ ...at, key: 'f', fn: 'sweep_rows', args: {} })
  const { turns } = await api.commit({
    turns: [
      { agent_id: 'b', lease_token: b, message: { id: note.id, attempts: 0 }, ...effects(), steps: true },
      { agent_id: 'b', lease_token: b, message: { id: spare.id, attempts: 0 }, outcome: 'dead' },
    ],
    refills: [{ agent_id: 'b', lease_token: b }],
    awaiting: [note.id],
  })
  expect(turns.map(({ verdict }) => verdict)).toEqual(['ok', 'ok'])
  expect(await api.call('drop_messages', [{ id: spare.id, agent_id: 'b' }])).toMatchObject([{ verdict: 'ok' }])
  expect(await api.call('replay_messages', [{ id: spare.id, agent_id: 'b' }])).toMatchObject([{ verdict: 'ok' }])
  expect(await api.replies(note.id)).toMatchObject([{ status: 'replied' }])
  await api.call('sweep_rows', {})
  const service = db.connect({ role: 'service_role' })
  expect(await service`select public.broadcast_message('x', 's', 'c') as id`).toHaveLength(1)
  await service`update public.system_config set value = '30' where key = 'max_daily_exposure'`
  const released = await api.sync([
    { agent_id: 'a', lease_token: a, action: 'release', status: 'offline' },
    { agent_id: 'b', lease_token: b, action: 'retire' },
  ])
  expect(released.map(({ verdict }) => verdict)).toEqual(['ok', 'ok'])
})
