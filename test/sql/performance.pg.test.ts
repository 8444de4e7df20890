import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { call, failure, insert, type Row } from './rest.ts'

let db: Database
let sql: Client
beforeAll(async () => {
  db = await freshDatabase({ max: 1 })
  sql = db.connect({ role: 'service_role', max: 1 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(() => db.sql`truncate public.trade_executions, public.trade_opportunities, public.agent_jobs, public.agent_performance cascade`)

const record = (args: Row = {}) => call(sql, 'record_performance', args)
const rows = (period: string) => sql`
  select agent_id, period_start::text as start, jobs_completed as done, jobs_failed as failed, trades_executed as trades,
    trades_profitable as won, total_pnl as pnl, avg_trade_size::float as size, avg_confidence::float as confidence, avg_job_duration::text as took
  from public.agent_performance where period = ${period} order by agent_id, period_start`

/** Jobs of a: 3 completed (10, 20 and 30 s) and 1 dead on Wednesday 2026-03-04, 1 completed (60 s) a day later; edges of both days. */
async function work() {
  const job = (assigned_to: string | null, completed_at: string, seconds: number, ending: Row = { status: 'completed' }) =>
    db.sql`insert into public.agent_jobs ${db.sql({
      job_type: 'report',
      created_at: '2026-01-01T00:00:00Z',
      completed_at,
      started_at: new Date(Date.parse(completed_at) - seconds * 1000),
      ...ending,
    })} returning id`.then(([{ id } = {}]) => db.sql`update public.agent_jobs set assigned_to = ${assigned_to} where id = ${id}`)
  await job('a', '2026-03-04T00:00:00Z', 10)
  await job('a', '2026-03-04T12:00:00Z', 20)
  await job('a', '2026-03-04T23:59:59Z', 30)
  await job('a', '2026-03-04T12:00:00Z', 5, { status: 'failed', dead_reason: 'fatal' })
  await job('a', '2026-03-04T12:00:00Z', 5, { status: 'cancelled' })
  await job(null, '2026-03-04T12:00:00Z', 5)
  await job('a', '2026-03-05T00:00:00Z', 60)
  await job('b', '2026-03-03T23:59:59Z', 60)
}

async function trades() {
  const { id: opportunity_id } = await insert(sql, 'trade_opportunities', { market_id: 'm', side: 'YES', confidence: 0.75 })
  const trade = (executed_by: string, amount: number, created_at: string, ending: Row) =>
    insert(sql, 'trade_executions', { market_id: 'm', side: 'YES', executed_by, amount, created_at, ...ending })
  await trade('a', 4, '2026-03-04T08:00:00Z', { status: 'settled', pnl: 2, settled_at: '2026-03-04T09:00:00Z', opportunity_id })
  await trade('a', 2, '2026-03-04T08:00:00Z', { status: 'executed' })
  await trade('a', 9, '2026-03-04T08:00:00Z', { status: 'failed' })
  await trade('a', 9, '2026-03-04T08:00:00Z', { status: 'pending' })
  await trade('a', 5, '2026-02-27T08:00:00Z', { status: 'settled', pnl: -0.5, settled_at: '2026-03-04T09:00:00Z' })
  await trade('c', 1, '2026-03-04T08:00:00Z', { status: 'settled', pnl: 1, settled_at: '2026-03-05T00:00:00Z' })
}

test('a day is rolled up by UTC, again without a change, and brought up to date', async () => {
  await work()
  await trades()
  await sql`set time zone 'Asia/Tokyo'`
  const expected = [
    { agent_id: 'a', start: '2026-03-04', done: 3, failed: 1, trades: 2, won: 1, pnl: '1.5', size: 3, confidence: 0.75, took: '00:00:20' },
    { agent_id: 'c', start: '2026-03-04', done: 0, failed: 0, trades: 1, won: 0, pnl: '0', size: 1, confidence: null, took: null },
  ]
  expect(await record({ day: '2026-03-04' })).toEqual({ agents: 2 })
  expect(await rows('daily')).toEqual(expected)
  expect(await record({ day: '2026-03-04', period: 'daily' })).toEqual({ agents: 2 })
  expect(await rows('daily')).toEqual(expected)
  await insert(sql, 'trade_executions', {
    market_id: 'm',
    side: 'NO',
    executed_by: 'c',
    amount: 3,
    created_at: '2026-03-04T23:00:00Z',
    status: 'executed',
  })
  await record({ day: '2026-03-04' })
  await sql`reset time zone`
  expect((await rows('daily'))[1]).toMatchObject({ trades: 2, size: 2 })
})

test('weeks begin on Monday, months on the first, whichever of their days is named', async () => {
  await work()
  await trades()
  await record({ day: '2026-03-08', period: 'weekly' })
  await record({ day: '2026-03-31', period: 'monthly' })
  const week = { agent_id: 'a', done: 4, failed: 1, trades: 2, won: 1, pnl: '1.5', size: 3, confidence: 0.75, took: '00:00:30' }
  const other = { trades: 1, won: 1, pnl: '1', size: 1, done: 0, failed: 0, confidence: null, took: null }
  const job = { agent_id: 'b', done: 1, failed: 0, trades: 0, won: 0, pnl: '0', size: null, confidence: null, took: '00:01:00' }
  expect(await rows('weekly')).toEqual([
    { ...week, start: '2026-03-02' },
    { ...job, start: '2026-03-02' },
    { ...other, agent_id: 'c', start: '2026-03-02' },
  ])
  expect(await rows('monthly')).toEqual([
    { ...week, start: '2026-03-01' },
    { ...job, start: '2026-03-01' },
    { ...other, agent_id: 'c', start: '2026-03-01' },
  ])
})

test('pruned jobs stay counted: a day keeps its numbers, a month has those of its days', async () => {
  await work()
  await record({ day: '2026-03-04' })
  await record({ day: '2026-03-05' })
  const days = await rows('daily')
  await db.sql`delete from public.agent_jobs where completed_at < '2026-03-05'`
  await record({ day: '2026-03-04' })
  await record({ day: '2026-03-05' })
  await record({ day: '2026-03-05', period: 'monthly' })
  expect(await rows('daily')).toEqual(days)
  expect(await rows('monthly')).toMatchObject([{ agent_id: 'a', start: '2026-03-01', done: 4, failed: 1, took: '00:00:30' }])
})

test('today by the server’s clock is the default; an unknown period is refused', async () => {
  await insert(sql, 'trade_executions', { market_id: 'm', side: 'NO', executed_by: 'a', amount: 3, status: 'executed' })
  await record()
  await sql`set troupe.clock_offset = '1 day'`
  expect(await record()).toEqual({ agents: 0 })
  await sql`reset troupe.clock_offset`
  expect(await sql`select period_start = (now() at time zone 'UTC')::date as today, trades_executed from public.agent_performance`).toEqual(
    [{ today: true, trades_executed: 1 }],
  )
  expect(await failure(record({ period: 'yearly' }))).toMatchObject({ code: 'PT400', message: expect.stringContaining('yearly') })
})
