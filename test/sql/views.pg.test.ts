import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { failure, insert, rpc } from './rest.ts'

let db: Database
let sql: Client
beforeAll(async () => {
  db = await freshDatabase({ max: 1 })
  sql = db.connect({ role: 'service_role', max: 1 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const table of ['trade_executions', 'trade_opportunities', 'agent_status', 'agent_jobs']) {
    await db.sql`delete from ${db.sql(`public.${table}`)}`
  }
})

const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()

describe('views', () => {
  const jobColumns =
    'id job_type status priority created_by assigned_to target_agent created_at assigned_at started_at run_at attempt max_attempts lease_expires_at error_message age_minutes'

  test('v_active_jobs has what is not finished, with its age', async () => {
    await insert(sql, 'agent_jobs', { job_type: 'report', created_at: ago(12) })
    await insert(sql, 'agent_jobs', { job_type: 'report' })
    await insert(sql, 'agent_jobs', { job_type: 'report' })
    const [done] = await rpc(sql, 'claim_next_job', { agent_id: 'py-trader' })
    await rpc(sql, 'complete_job', { p_job_id: done?.job_id, p_success: true })
    await rpc(sql, 'claim_next_job', { agent_id: 'py-trader' })
    const rows = await sql`select * from public.v_active_jobs order by created_at`
    expect(rows.columns.map(({ name }) => name).join(' ')).toBe(jobColumns)
    expect(rows).toMatchObject([
      { status: 'assigned', age_minutes: '0.0' },
      { status: 'pending', age_minutes: '0.0' },
    ])
    await db.sql`update public.agent_jobs set created_at = ${ago(12)} where status = 'pending'`
    expect(await sql`select age_minutes from public.v_active_jobs where status = 'pending'`).toEqual([{ age_minutes: '12.0' }])
  })

  test('v_agent_dashboard says who is healthy, in warning, stale', async () => {
    for (const minutes of [0, 1.9, 2.1, 4.9, 5.1]) {
      const agent_id = `a${minutes}`
      await insert(sql, 'agent_status', { agent_id, agent_name: agent_id, agent_type: 'trader', last_heartbeat: ago(minutes) })
    }
    const rows = await sql`select * from public.v_agent_dashboard order by last_heartbeat desc`
    expect(rows.columns.map(({ name }) => name).join(' ')).toBe(
      'agent_id agent_name agent_type status current_job last_heartbeat last_activity capabilities current_load max_load jobs_completed jobs_failed total_profit blocked_reason blocked_since version minutes_since_heartbeat health_status',
    )
    expect(rows.map(({ minutes_since_heartbeat, health_status }) => [minutes_since_heartbeat, health_status])).toEqual([
      ['0.0', 'healthy'],
      ['1.9', 'healthy'],
      ['2.1', 'warning'],
      ['4.9', 'warning'],
      ['5.1', 'stale'],
    ])
  })

  test('v_opportunity_pipeline says how long each pending one lives', async () => {
    for (const minutes of [-1, 59, 61, 359, 361])
      await insert(sql, 'trade_opportunities', { market_id: `m${minutes}`, side: 'NO', expires_at: ago(-minutes) })
    await insert(sql, 'trade_opportunities', { market_id: 'none', side: 'NO' })
    await insert(sql, 'trade_opportunities', { market_id: 'done', side: 'NO', status: 'rejected' })
    const rows = await sql`select * from public.v_opportunity_pipeline order by expires_at`
    expect(rows.columns.map(({ name }) => name).join(' ')).toBe(
      'id market_id market_question platform side current_price target_price suggested_position confidence edge research_summary discovered_by discovery_method status discovered_at expires_at event_id hours_remaining urgency',
    )
    expect(rows.map(({ hours_remaining, urgency }) => [hours_remaining, urgency])).toEqual([
      ['-0.02', 'expired'],
      ['0.98', 'urgent'],
      ['1.02', 'soon'],
      ['5.98', 'soon'],
      ['6.02', 'normal'],
      [null, 'normal'],
    ])
  })

  test('v_daily_performance sums settled executions by UTC day and agent', async () => {
    const settled = (executed_by: string, pnl: number, amount: number, settled_at: string) =>
      insert(sql, 'trade_executions', { market_id: 'm', side: 'YES', executed_by, pnl, amount, settled_at, status: 'settled' })
    await settled('a', 2, 5, '2026-03-01T23:59:59Z')
    await settled('a', -1, 3, '2026-03-01T00:00:00Z')
    await settled('a', 0, 1, '2026-03-01T12:00:00Z')
    await settled('a', 1, 1, '2026-03-02T00:00:00Z')
    await settled('b', 1, 1, '2026-03-01T12:00:00Z')
    await insert(sql, 'trade_executions', { market_id: 'm', side: 'YES', executed_by: 'a', amount: 9, status: 'executed' })
    await sql`set time zone 'America/New_York'`
    const rows =
      await sql`select day::text, agent_id, trades, winners, losers, total_pnl, avg_pnl, volume from public.v_daily_performance order by day, agent_id`
    await sql`reset time zone`
    expect(rows).toEqual([
      { day: '2026-03-01', agent_id: 'a', trades: '3', winners: '1', losers: '1', total_pnl: '1', avg_pnl: '0.3333', volume: '9' },
      { day: '2026-03-01', agent_id: 'b', trades: '1', winners: '1', losers: '0', total_pnl: '1', avg_pnl: '1.0000', volume: '1' },
      { day: '2026-03-02', agent_id: 'a', trades: '1', winners: '1', losers: '0', total_pnl: '1', avg_pnl: '1.0000', volume: '1' },
    ])
  })
})

test('Realtime publishes the seven tables', async () => {
  expect(await sql`select tablename from pg_publication_tables where pubname = 'supabase_realtime' order by 1`).toEqual(
    ['agent_jobs', 'agent_messages', 'agent_performance', 'agent_status', 'system_config', 'trade_executions', 'trade_opportunities'].map(
      (tablename) => ({ tablename }),
    ),
  )
})

test.each([
  ['agent_jobs', { job_type: 'x', status: 'done' }, '23514'],
  ['agent_jobs', { job_type: 'x', status: null }, '23502'],
  ['agent_jobs', { job_type: 'x', priority: 11 }, '23514'],
  ['agent_jobs', { job_type: null }, '23502'],
  ['agent_messages', { from_agent: 'a', message_type: 'shout' }, '23514'],
  ['agent_messages', { message_type: 'alert' }, '23502'],
  ['agent_status', { agent_id: 'a', agent_name: 'a', status: 'asleep' }, '23514'],
  ['agent_status', { agent_id: 'a', agent_name: 'a', capabilities: 'trade' }, '23514'],
  ['trade_opportunities', { market_id: 'm', side: 'YES', current_price: -5 }, '23514'],
  ['trade_opportunities', { market_id: 'm', side: 'YES', confidence: 9 }, '23514'],
  ['trade_opportunities', { market_id: 'm', side: 'YES', status: 'open' }, '23514'],
  ['trade_executions', { market_id: 'm', side: 'YES', amount: 0 }, '23514'],
  ['trade_executions', { market_id: 'm', side: 'YES', amount: 1, status: 'done' }, '23514'],
  ['trade_executions', { market_id: 'm', side: 'YES', amount: 1, status: null }, '23502'],
  ['agent_performance', { agent_id: 'a', period: 'yearly', period_start: '2026-01-01' }, '23514'],
])('%s refuses %o', async (table, row, code) => {
  expect(await failure(insert(sql, table, row))).toMatchObject({ code })
})
