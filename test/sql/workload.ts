import { randomUUID } from 'node:crypto'
import { readMigrations } from '../../src/store/migrate.ts'
import type { Database } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { hostOf, message } from './host.ts'
import { call, insert, rpc, update } from './rest.ts'

/** Uses everything in the schema at least once: each function, each index, each view. */
export async function runWorkload(db: Database): Promise<void> {
  const owner = db.connect({ max: 1 })
  // A second load calls what only a load calls.
  for (const { sql } of await readMigrations()) await owner.unsafe(sql)
  await owner`select troupe.name_offender('agent_jobs', 'nothing', 'false')`
  await flushCounts(owner)

  const sql = db.connect({ role: 'service_role', max: 1 })
  // Else small tables are read whole; and without them each plan seems worth compiling.
  await sql`set enable_seqscan = off`
  await sql`set jit = off`
  await jobs(sql)
  await messages(sql)
  await turns(sql)
  await trades(sql)
  await upkeep(sql)
  await dashboards(sql)
  await flushCounts(sql)
}

/** A session reports what it did a second later, or when it is told to. */
async function flushCounts(sql: Client) {
  await sql`select pg_stat_force_next_flush()`
  await sql`select 1`
}

async function jobs(sql: Client) {
  const run = (name: string, batch: unknown) => call<Record<string, unknown>[]>(sql, name, batch)
  const claim = async () => {
    const request = { agent_id: 'trader', job_types: ['x', 'y'], limit: 1, claim_id: randomUUID() }
    await run('claim_jobs', [request])
    const [answer] = await run('claim_jobs', [request])
    const [job] = (answer?.jobs ?? []) as { job_id: string; lease_token: number }[]
    return { ...job }
  }
  await run(
    'create_jobs',
    Array.from({ length: 8 }, () => ({ job_type: 'x' })),
  )
  const held = await claim()
  await run('renew_jobs', [{ ...held, started: true }])
  await run('finish_jobs', [{ ...held, outcome: 'failed', error: 'once' }])
  await run('finish_jobs', [{ ...(await claim()), outcome: 'completed' }])
  const { job_id } = await claim()
  await run('cancel_jobs', [{ job_id }])
  await run('redrive_jobs', [{ job_id }])
  await insert(sql, 'agent_status', { agent_id: 'py', agent_name: 'py', agent_type: 'reporter' })
  await insert(sql, 'agent_jobs', { job_type: 'report', assigned_to: 'py', status: 'assigned' })
  await rpc(sql, 'update_agent_heartbeat', { p_agent_id: 'py' })
  const [legacy] = await rpc(sql, 'claim_next_job', { agent_id: 'py' })
  await rpc(sql, 'complete_job', { p_job_id: legacy?.job_id, p_success: true })
  await claim()
  await sql`set troupe.clock_offset = '1 hour'`
  await run('claim_jobs', [
    { agent_id: 'other', lease_token: 1, limit: 1 },
    { agent_id: 'other', limit: 1 },
  ])
  await sql`reset troupe.clock_offset`
}

async function messages(sql: Client) {
  const host = hostOf(sql)
  const { a, b } = await host.hold('a', 'b')
  await host.send({
    messages: [
      message('a', 'b'),
      message('a', 'nobody'),
      { ...message('a', 'b'), delay_ms: 1000 },
      { ...message('a', 'b'), expires_in_ms: 1 },
    ],
  })
  await insert(sql, 'agent_messages', { message_type: 'command', from_agent: 'py', to_agent: 'a', subject: 's', content: 'c' })
  await insert(sql, 'agent_messages', { message_type: 'command', from_agent: 'py', to_agent: 'a', expires_at: 'infinity' })
  await rpc(sql, 'broadcast_message', { p_from_agent: 'py', p_subject: 's', p_content: 'c' })
  await sql`set troupe.clock_offset = '1 minute'`
  await host.take({ agent_id: 'a', lease_token: a }, { agent_id: 'b', lease_token: b })
  await sql`reset troupe.clock_offset`
  await host.replies(randomUUID())
  await call(sql, 'replay_messages', [{ id: randomUUID(), agent_id: 'a' }])
  await call(sql, 'drop_messages', [{ id: randomUUID(), agent_id: 'a' }])
  await sql`select * from public.agent_messages where read = false and (to_agent = 'py' or to_agent is null) order by created_at desc limit 5`
}

async function turns(sql: Client) {
  const host = hostOf(sql)
  const { c } = await host.hold('c')
  const told = message('a', 'c')
  await host.send({ messages: [told, told] })
  await host.take({ agent_id: 'c', lease_token: c })
  const turn = {
    agent_id: 'c',
    lease_token: Number(c),
    message: { id: told.id, attempts: 0 },
    state: { version: 0, value: '{}' },
    messages: [message('c', 'a')],
    jobs: [{ job_type: 'x' }],
    timers: [{ name: 't', type: 'tick', every_ms: 1000 }],
    writes: [{ fn: 'expire_opportunities', args: {} }],
    steps: true,
  }
  const step = { agent_id: 'c', lease_token: c, message_id: told.id, key: 'k' }
  await host.steps({ ...step, phase: 'start' }, { ...step, phase: 'finish', result: '1' })
  await host.functions({ ...step, key: 'f', fn: 'expire_opportunities', args: {} })
  await host.commit({ turns: [turn] })
  await commitTogether(sql)
  await host.commit({ turns: [{ agent_id: 'c', lease_token: Number(c), job: { id: randomUUID(), lease_token: 1 }, outcome: 'released' }] })
  await sql`set troupe.clock_offset = '1 minute'`
  await host.take({ agent_id: 'c', lease_token: c })
  await sql`reset troupe.clock_offset`
  await host.sync([{ agent_id: 'c', action: 'hold', lease_token: c, status: 'error' }])
  await host.sync([{ agent_id: 'c', action: 'release', lease_token: c }])
}

/** Turns that are plain are written by functions of their own. */
async function commitTogether(sql: Client) {
  const host = hostOf(sql)
  const { d = 0 } = await host.hold('d')
  const told = [message('a', 'd'), message('a', 'd')]
  await host.send({ messages: told, stamps: { d } })
  await call(sql, 'create_jobs', [{ job_type: 'y', target_agent: 'd' }])
  const [claim] = await call<{ jobs: { job_id: string; lease_token: number }[] }[]>(sql, 'claim_jobs', [{ agent_id: 'd', lease_token: d }])
  const [job] = claim?.jobs ?? []
  const effects = (version: number) => ({
    state: { version, value: '1' },
    messages: [message('d', 'a')],
    jobs: [{ job_type: 'x' }],
    steps: true,
  })
  const plain = told.map(({ id }, n) => ({ agent_id: 'd', lease_token: d, message: { id, attempts: 0 }, ...effects(n) }))
  await host.commit({ turns: [...plain, { agent_id: 'd', lease_token: d, job: { id: job?.job_id, lease_token: job?.lease_token } }] })
  await host.commit({ turns: plain })
}

async function trades(sql: Client) {
  const { id } = await insert(sql, 'trade_opportunities', { market_id: 'm', side: 'YES' })
  await call(sql, 'publish_opportunity', { opportunity: { market_id: 'm', side: 'YES', expires_in_ms: 1, confidence: 1, edge: 0.1 } })
  await call(sql, 'review_opportunity', { id, decision: 'approved' })
  for (const [n, end] of ['settle_execution', 'release_execution'].entries()) {
    const { execution_id } = await call(sql, 'reserve_execution', { idempotency_key: `k${n}`, market_id: 'm', side: 'YES', amount: 1 })
    if (n === 0) await call(sql, 'record_execution', { id: execution_id, stage: 'filled' })
    await call(sql, end, { id: execution_id, pnl: 1 })
  }
  await insert(sql, 'trade_executions', { market_id: 'm', side: 'YES', amount: 1, status: 'executed', opportunity_id: id })
  await update(sql, 'trade_executions', ['opportunity_id', String(id)], { status: 'failed' })
  await call(sql, 'trading_exposure', { market_id: 'm', event_id: 'e' })
  await update(sql, 'system_config', ['key', 'risk_mode'], { value: 'aggressive' })
  await call(sql, 'record_performance', {})
}

async function upkeep(sql: Client) {
  await rpc(sql, 'schema_version', {})
  await call(sql, 'sweep_rows', {})
  const used = [{ scope: 'agent', id: 'a', every: 'day', window_start: '2026-11-21T00:00:00Z', tokens: 1, usd: 0.1 }]
  await call(sql, 'record_usage', used)
  await rpc(sql, 'record_usage', { p_batch: used, p_request: randomUUID() })
  await call(sql, 'prune_rows', {})
  await sql`set troupe.clock_offset = '60 days'`
  await call(sql, 'expire_opportunities', {})
  await call(sql, 'prune_rows', { done_days: 0, dead_days: 0 })
  await sql`reset troupe.clock_offset`
}

async function dashboards(sql: Client) {
  for (const view of ['v_active_jobs', 'v_agent_dashboard', 'v_opportunity_pipeline', 'v_daily_performance', 'v_dead_jobs']) {
    await sql`select * from ${sql(`public.${view}`)} limit 1`
  }
  await sql`select * from public.v_dead_letters order by died_at desc limit 20`
  await sql`select * from public.v_dropped_letters order by died_at desc limit 20`
}
