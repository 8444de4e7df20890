import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { call, failure, insert, type Row, rpc, update } from './rest.ts'

// The calls of the original Python agents, as supabase-py sends them: these columns, these arguments, the service role.

let db: Database
let sql: Client
beforeAll(async () => {
  db = await freshDatabase({ max: 1 })
  sql = db.connect({ role: 'service_role', max: 1 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const table of [
    'agent_deliveries',
    'agent_messages',
    'trade_executions',
    'trade_opportunities',
    'agent_status',
    'agent_jobs',
    'agent_leases',
  ]) {
    await db.sql`delete from ${db.sql(`public.${table}`)}`
  }
})

const now = () => new Date().toISOString()

const register = (agent_id: string, agent_type: string, last_heartbeat = now()) =>
  insert(
    sql,
    'agent_status',
    { agent_id, agent_name: `The ${agent_type}`, agent_type, status: 'idle', last_heartbeat, capabilities: ['execute_trade', 'report'] },
    { onConflict: 'agent_id' },
  )
const createJob = (changes: Row = {}) =>
  insert(sql, 'agent_jobs', {
    job_type: 'execute_trade',
    payload: { amount: 5 },
    priority: 5,
    created_by: 'py-scanner',
    assigned_to: null,
    status: 'pending',
    ...changes,
  })
const claim = async (agent_id: string) => (await rpc(sql, 'claim_next_job', { agent_id }))[0]
const heartbeat = (p_agent_id: string, p_status: string, p_current_job: string | null) =>
  rpc(sql, 'update_agent_heartbeat', { p_agent_id, p_status, p_current_job })
const complete = (p_job_id: unknown, p_success: boolean, p_result: unknown = null, p_error: string | null = null) =>
  rpc(sql, 'complete_job', { p_job_id, p_success, p_result, p_error })
const jobs = (columns: string[]) => sql`select ${sql(columns)} from public.agent_jobs order by seq`

describe('agents and jobs', () => {
  test('an agent registers, again after a restart, and says that it is blocked', async () => {
    await register('py-trader', 'trader')
    await register('py-trader', 'trader')
    await update(sql, 'agent_status', ['agent_id', 'py-trader'], { status: 'blocked', blocked_reason: 'no key', blocked_since: now() })
    expect(
      await sql`select agent_name, agent_type, status, blocked_reason, capabilities, current_load, max_load, jobs_completed from public.agent_status`,
    ).toEqual([
      {
        agent_name: 'The trader',
        agent_type: 'trader',
        status: 'blocked',
        blocked_reason: 'no key',
        capabilities: ['execute_trade', 'report'],
        current_load: 0,
        max_load: 5,
        jobs_completed: 0,
      },
    ])
    expect(await sql`select from_agent, to_agent, message_type, subject, content, priority from public.agent_messages`).toEqual([
      { from_agent: 'py-trader', to_agent: null, message_type: 'alert', subject: 'Agent Blocked', content: 'no key', priority: 'high' },
    ])
  })

  test('a job goes its whole way: inserted, claimed, started, completed, counted', async () => {
    await register('py-trader', 'trader')
    const job = await createJob()
    expect(job).toMatchObject({ id: expect.any(String), status: 'pending', priority: 5, created_at: expect.any(Date), assigned_to: null })
    const claimed = await claim('py-trader')
    expect(claimed).toMatchObject({ job_id: job.id, job_type: 'execute_trade', payload: { amount: 5 }, priority: 5 })
    expect(await claim('py-trader')).toBeUndefined()
    await heartbeat('py-trader', 'working', String(job.id))
    expect(await jobs(['status', 'assigned_to'])).toEqual([{ status: 'in_progress', assigned_to: 'py-trader' }])
    expect(await sql`select status, current_job from public.agent_status`).toEqual([{ status: 'working', current_job: job.id }])
    await complete(job.id, true, { tx: '0x1' })
    await heartbeat('py-trader', 'idle', null)
    expect(
      await sql`select j.status, j.result, j.error_message, s.status as agent, s.current_job, s.jobs_completed from public.agent_jobs j, public.agent_status s`,
    ).toEqual([{ status: 'completed', result: { tx: '0x1' }, error_message: null, agent: 'idle', current_job: null, jobs_completed: 1 }])
  })

  test('a failed attempt is tried again while attempts remain; a finished job stays finished', async () => {
    await createJob()
    for (const attempt of [1, 2, 3]) {
      await db.sql`update public.agent_jobs set run_at = '-infinity'`
      const claimed = await claim('py-trader')
      expect(claimed).toMatchObject({ attempt })
      await complete(claimed?.job_id, false, null, 'no liquidity')
    }
    expect(await jobs(['status', 'attempt', 'error_message', 'dead_reason'])).toEqual([
      { status: 'failed', attempt: 3, error_message: 'no liquidity', dead_reason: 'attempts_exhausted' },
    ])
    const [{ id } = {}] = await jobs(['id'])
    expect(await failure(complete(id, true))).toMatchObject({ code: 'PT409' })
    expect(await failure(complete(randomUUID(), true))).toMatchObject({ code: 'PT404' })
    expect(await jobs(['status'])).toEqual([{ status: 'failed' }])
  })

  test('work named for an agent is found by it and first, also when inserted as assigned; others do not get it', async () => {
    await register('py-trader', 'trader')
    await createJob({ priority: 1 })
    const named = await createJob({ priority: 9, assigned_to: 'py-trader', status: 'assigned', job_type: 'report' })
    expect(named).toMatchObject({ status: 'pending', assigned_to: 'py-trader' })
    expect(await claim('other')).toMatchObject({ priority: 1 })
    expect(await claim('other')).toBeUndefined()
    expect(await claim('py-trader')).toMatchObject({ job_id: named.id })
  })

  test('each type of agent gets its own types of jobs, an unknown one any', async () => {
    const types = ['scan_markets', 'execute_trade', 'deep_research', 'research', 'report']
    for (const job_type of types) await createJob({ job_type })
    const got: Record<string, unknown[]> = {}
    for (const type of ['trader', 'researcher', 'scanner', 'reporter', 'coordinator']) {
      await register(`py-${type}`, type)
      got[type] = []
      if (type === 'coordinator') await createJob({ job_type: 'anything' })
      for (let job = await claim(`py-${type}`); job; job = await claim(`py-${type}`)) got[type]?.push(job.job_type)
    }
    expect(got).toEqual({
      trader: ['execute_trade'],
      researcher: ['deep_research', 'research'],
      scanner: ['scan_markets'],
      reporter: ['report'],
      coordinator: ['anything'],
    })
  })

  test('a heartbeat of an agent never seen before makes it known', async () => {
    await heartbeat('py-new', 'idle', null)
    await rpc(sql, 'update_agent_heartbeat', { p_agent_id: 'py-newer' })
    await heartbeat('py-new', 'working', randomUUID())
    expect(await sql`select agent_id, agent_name, agent_type, status, current_job from public.agent_status order by 1`).toEqual([
      { agent_id: 'py-new', agent_name: 'py-new', agent_type: 'unknown', status: 'working', current_job: null },
      { agent_id: 'py-newer', agent_name: 'py-newer', agent_type: 'unknown', status: 'idle', current_job: null },
    ])
  })
})

describe('both systems on one queue', () => {
  test('a Python trader takes the job of a Troupe scanner', async () => {
    await register('py-trader', 'trader')
    const opportunity = {
      market_id: 'm1',
      side: 'YES',
      current_price: 0.4,
      suggested_position: 5,
      confidence: 0.9,
      edge: 0.2,
      discovered_by: 'scanner',
    }
    const { opportunity_id, job_id } = await call(sql, 'publish_opportunity', { opportunity })
    expect(await claim('py-trader')).toMatchObject({
      job_id,
      job_type: 'execute_trade',
      priority: 3,
      payload: { opportunity_id, market_id: 'm1', side: 'YES', amount: 5, confidence: 0.9 },
    })
    await complete(job_id, true, { done: true })
    expect(await jobs(['status', 'assigned_to'])).toEqual([{ status: 'completed', assigned_to: 'py-trader' }])
  })

  test('a Troupe trader takes the job of a Python scanner, and the Python trader cannot end it', async () => {
    const job = await createJob()
    const [answer] = await call<Row[]>(sql, 'claim_jobs', [{ agent_id: 'trader', job_types: ['execute_trade'], limit: 5 }])
    expect(answer).toMatchObject({ verdict: 'ok', jobs: [{ job_id: job.id, payload: { amount: 5 } }] })
    expect(await claim('py-trader')).toBeUndefined()
    expect(await failure(complete(job.id, true))).toMatchObject({ code: 'PT409' })
    const [{ lease_token } = {}] = (answer?.jobs ?? []) as Row[]
    expect(await call(sql, 'finish_jobs', [{ job_id: job.id, lease_token, outcome: 'completed', result: 1 }])).toEqual([
      { job_id: job.id, verdict: 'ok' },
    ])
  })
})

describe('messages', () => {
  const send = (changes: Row = {}) =>
    insert(sql, 'agent_messages', {
      message_type: 'command',
      from_agent: 'py-coordinator',
      to_agent: 'py-trader',
      subject: 'Check',
      content: 'now',
      priority: 'normal',
      payload: { a: 1 },
      ...changes,
    })

  test('are inserted, read and marked as read', async () => {
    const direct = await send()
    const broadcast = await send({ to_agent: null, message_type: 'alert', subject: 'New Trade Opportunity', priority: 'urgent' })
    await send({ to_agent: 'someone-else' })
    const unread = () =>
      sql`select * from public.agent_messages where read = false and (to_agent = 'py-trader' or to_agent is null) order by created_at desc limit 10`
    expect((await unread()).map(({ id }) => id)).toEqual([broadcast.id, direct.id])
    await update(sql, 'agent_messages', ['id', String(direct.id)], { read: true, read_at: now() })
    expect((await unread()).map(({ id }) => id)).toEqual([broadcast.id])
  })

  test('reach the agents of Troupe as well: one delivery each, also for a broadcast', async () => {
    const agents = ['scanner', 'trader'].map((agent_id) => ({ agent_id, action: 'take' }))
    await call(sql, 'sync_node', { node_id: 'n1', agents })
    const direct = await send({ to_agent: 'trader' })
    const broadcast = await send({ to_agent: null })
    expect(await sql`select agent_id, message_id, status from public.agent_deliveries order by seq`).toEqual([
      { agent_id: 'trader', message_id: direct.id, status: 'ready' },
      { agent_id: 'scanner', message_id: broadcast.id, status: 'ready' },
      { agent_id: 'trader', message_id: broadcast.id, status: 'ready' },
    ])
  })

  test('broadcast_message takes its five arguments, or fewer', async () => {
    const five = { p_from_agent: 'py-scanner', p_subject: 'Hello', p_content: 'all', p_payload: { n: 1 }, p_priority: 'urgent' }
    await rpc(sql, 'broadcast_message', five)
    await rpc(sql, 'broadcast_message', { p_from_agent: 'py-scanner', p_subject: 'Hello', p_content: 'again' })
    await rpc(sql, 'broadcast_message', { ...five, p_payload: null, p_priority: null })
    expect(
      await sql`select to_agent, message_type, subject, payload, priority, read from public.agent_messages order by created_at`,
    ).toEqual([
      { to_agent: null, message_type: 'alert', subject: 'Hello', payload: { n: 1 }, priority: 'urgent', read: false },
      { to_agent: null, message_type: 'alert', subject: 'Hello', payload: {}, priority: 'normal', read: false },
      { to_agent: null, message_type: 'alert', subject: 'Hello', payload: {}, priority: 'normal', read: false },
    ])
    expect(await failure(rpc(sql, 'broadcast_message', { ...five, p_priority: 'shouted' }))).toMatchObject({ code: '23514' })
    expect(await failure(rpc(sql, 'broadcast_message', { ...five, p_from_agent: null }))).toMatchObject({ code: '23502' })
  })
})

describe('trades and settings', () => {
  const opportunity = {
    market_id: 'm1',
    market_question: 'Rain?',
    side: 'YES',
    current_price: 0.4,
    suggested_position: 5,
    confidence: 0.85,
    edge: 0.2,
    research_summary: 'clouds',
    discovered_by: 'py-scanner',
    discovery_method: 'perplexity_research',
    expires_at: new Date(Date.now() + 21_600_000).toISOString(),
  }

  test('a scanner inserts its opportunity and the job, a trader its executions', async () => {
    const { id: opportunity_id, status, platform } = await insert(sql, 'trade_opportunities', opportunity)
    expect({ status, platform }).toEqual({ status: 'pending', platform: 'polymarket' })
    const { id: job_id } = await createJob({
      payload: { opportunity_id, market_id: 'm1', side: 'YES', amount: 5, confidence: 0.85 },
      priority: 3,
    })
    const execution = { opportunity_id, job_id, market_id: 'm1', side: 'YES', amount: 5, entry_price: 0.4, executed_by: 'py-trader' }
    expect([
      await insert(sql, 'trade_executions', { ...execution, status: 'executed', tx_hash: '0xabc', executed_at: now() }),
      await insert(sql, 'trade_executions', { ...execution, status: 'pending', tx_hash: null, executed_at: now() }),
    ]).toMatchObject([
      { id: expect.any(String), status: 'executed', stage: 'filled' },
      { status: 'pending', stage: 'ordered' },
    ])
  })

  test('system_config has its seven defaults', async () => {
    const rows = await sql`select key, value from public.system_config order by key`
    expect(Object.fromEntries(rows.map(({ key, value }) => [key, value]))).toEqual({
      trading_enabled: true,
      max_daily_exposure: 20,
      max_position_size: 5,
      min_edge_threshold: 0.1,
      risk_mode: 'normal',
      scanner_interval_minutes: 240,
      coordinator_agent: 'coordinator-main',
    })
    expect(await sql`select value from public.system_config where key = 'risk_mode'`).toEqual([{ value: 'normal' }])
  })
})
