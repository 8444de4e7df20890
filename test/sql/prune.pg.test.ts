import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { call, failure, insert, type Row } from './rest.ts'

let db: Database
let sql: Client
beforeAll(async () => {
  db = await freshDatabase({ max: 2 })
  sql = db.connect({ role: 'service_role', max: 4 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  await db.sql`truncate public.trade_executions, public.trade_opportunities, public.agent_jobs, public.agent_messages, public.agent_status,
    public.agent_claims, public.agent_steps, public.agent_leases cascade`
})

const prune = (args: Row = {}) => call(sql, 'prune_rows', args)
const none = { jobs: 0, messages: 0, claims: 0, steps: 0, opportunities: 0 }
const days = (count: number) => new Date(Date.now() - count * 86_400_000)

async function job(job_type: string, age: number, status = 'completed'): Promise<string> {
  const [row] = await db.sql`insert into public.agent_jobs ${db.sql({
    job_type,
    status,
    ...(status === 'pending' ? { created_at: days(age) } : { completed_at: days(age) }),
    ...(status === 'failed' && { dead_reason: 'fatal' }),
  })} returning id`
  return String(row?.id)
}
const jobTypes = async () => (await db.sql`select job_type from public.agent_jobs order by 1`).map((row) => row.job_type)

test('66: finished jobs go after 7 days, dead ones after 30, the others stay, and what refers to them stays too', async () => {
  const old = await job('old completed', 8)
  await job('old cancelled', 8, 'cancelled')
  await job('young', 6)
  await job('dead', 29, 'failed')
  await job('long dead', 31, 'failed')
  await job('waiting', 99, 'pending')
  await insert(sql, 'agent_status', { agent_id: 'a', agent_name: 'a', current_job: old })
  const { id } = await insert(sql, 'trade_executions', { market_id: 'm', side: 'YES', amount: 1, job_id: old, status: 'executed' })
  expect(await prune()).toEqual({ ...none, jobs: 3 })
  expect(await jobTypes()).toEqual(['dead', 'waiting', 'young'])
  expect(await sql`select s.current_job, e.id, e.job_id from public.agent_status s, public.trade_executions e`).toEqual([
    { current_job: null, id, job_id: null },
  ])
  expect(await prune()).toEqual(none)
})

async function message(subject: string, age: number, deliveries: Row[] = [], columns: Row = { headers: {} }): Promise<string> {
  const [row] =
    await db.sql`insert into public.agent_messages ${db.sql({ from_agent: 'a', to_agent: 'b', subject, created_at: days(age), ...columns })} returning id`
  for (const [n, delivery] of deliveries.entries()) {
    await db.sql`insert into public.agent_deliveries ${db.sql({ message_id: row?.id, agent_id: `agent-${n}`, from_agent: 'a', ...delivery })}`
  }
  return String(row?.id)
}
const done = (age: number) => ({ status: 'done', finished_at: days(age) })
const dead = (age: number) => ({ status: 'dead', finished_at: days(age), dead_reason: 'failed' })
const subjects = async () => (await db.sql`select subject from public.agent_messages order by 1`).map((row) => row.subject)

test('66: handled messages go after 7 days, dead letters and those for others after 30, waiting ones never', async () => {
  await message('handled', 9, [done(8)])
  await message('handled by all', 9, [done(8), { status: 'dropped', finished_at: days(8) }])
  await message('handled by some', 99, [done(90), { status: 'ready' }])
  await message('delayed', 99, [{ status: 'scheduled', due_at: days(-1) }])
  await message('just handled', 99, [done(6)])
  await message('dead letter', 40, [dead(29), done(30)])
  await message('old dead letter', 40, [dead(31), done(39)])
  await message('to an outside agent', 29)
  await message('old one to an outside agent', 31)
  await message('from an outside agent', 29, [], { to_agent: 'c', headers: {}, read: true })
  await message('reply', 8, [], { reply_to: await message('asked', 1, [done(1)]), headers: {} })
  expect(await prune()).toEqual({ ...none, messages: 5 })
  expect(await subjects()).toEqual([
    'asked',
    'dead letter',
    'delayed',
    'from an outside agent',
    'handled by some',
    'just handled',
    'to an outside agent',
  ])
  expect(
    await db.sql`select from public.agent_deliveries d where not exists (select from public.agent_messages m where m.id = d.message_id)`,
  ).toHaveLength(0)
  expect(await prune({ done_days: 0, dead_days: 0 })).toMatchObject({ messages: 5 })
  expect(await subjects()).toEqual(['delayed', 'handled by some'])
})

test('66: a step is kept as long as its turn could run again', async () => {
  const step = (message_id: string, key: string, age: number) =>
    db.sql`insert into public.agent_steps ${db.sql({ agent_id: 'agent-0', message_id, key, token: 1, started_at: days(age) })}`
  await step(await message('waiting', 40, [{ status: 'ready' }]), 'waiting', 40)
  await step(await message('dead', 40, [dead(1)]), 'dead', 40)
  await step(await message('done', 40, [done(1)]), 'done', 40)
  await step(await job('pending', 40, 'pending'), 'pending job', 40)
  await step(await job('dead', 1, 'failed'), 'dead job', 40)
  await step(await job('completed', 1), 'completed job', 40)
  await step(crypto.randomUUID(), 'orphan', 31)
  await step(crypto.randomUUID(), 'young orphan', 29)
  expect(await prune()).toEqual({ ...none, steps: 3 })
  expect((await db.sql`select key from public.agent_steps order by 1`).map(({ key }) => key)).toEqual([
    'dead',
    'dead job',
    'pending job',
    'waiting',
    'young orphan',
  ])
})

test('66: claims go after a day, opportunities without a trade after 30; trades never', async () => {
  for (const age of [0.9, 1.1]) {
    await job('x', 0, 'pending')
    const claim_id = crypto.randomUUID()
    await call(sql, 'claim_jobs', [{ agent_id: 'a', limit: 1, claim_id }])
    await db.sql`update public.agent_claims set created_at = ${days(age)} where claim_id = ${claim_id}`
  }
  const opportunity = (market_id: string, status: string, age: number) =>
    insert(sql, 'trade_opportunities', { market_id, side: 'NO', status, discovered_at: days(age) })
  await opportunity('rejected', 'rejected', 31)
  await opportunity('expired', 'expired', 31)
  await opportunity('young', 'expired', 29)
  await opportunity('approved', 'approved', 99)
  const { id } = await opportunity('traded', 'rejected', 99)
  await insert(sql, 'trade_executions', {
    market_id: 'traded',
    side: 'NO',
    amount: 1,
    opportunity_id: id,
    status: 'failed',
    created_at: days(99),
  })
  expect(await prune()).toEqual({ ...none, claims: 1, opportunities: 2 })
  expect((await sql`select market_id from public.trade_opportunities order by 1`).map(({ market_id }) => market_id)).toEqual([
    'approved',
    'traded',
    'young',
  ])
})

test('66: never more than the limit of a kind; four at once delete each row once', async () => {
  await db.sql`insert into public.agent_jobs (job_type, status, completed_at, dead_reason)
    select 'x', (array['completed', 'cancelled', 'failed'])[1 + n % 3], now() - interval '99 days', case n % 3 when 2 then 'fatal' end from generate_series(1, 400) n`
  await db.sql`insert into public.agent_messages (from_agent, headers, created_at) select 'a', '{}', now() - interval '99 days' from generate_series(1, 400)`
  expect(await prune({ limit: 30 })).toEqual({ ...none, jobs: 30, messages: 30 })
  expect(await prune({ limit: 0 })).toEqual({ ...none, jobs: 1, messages: 1 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => prune({ limit: 50 })))
  const total = (kind: string) => answers.reduce((sum, answer) => sum + Number(answer[kind]), 0)
  expect(Math.max(...answers.map(({ jobs }) => Number(jobs)))).toBe(50)
  expect({ jobs: total('jobs'), messages: total('messages') }).toEqual({ jobs: 369, messages: 369 })
  expect(await failure(prune({ limit: 'all' }))).toMatchObject({ code: '22P02' })
})

test('a negative age deletes nothing that has just ended', async () => {
  await job('just now', -0.5)
  expect(await prune({ done_days: -5, dead_days: -5 })).toEqual(none)
})

test('the sweep ends leases, opportunities and messages that ran out, no more than asked of each', async () => {
  await db.sql`insert into public.agent_jobs (job_type, status, assigned_to, lease_token, lease_expires_at, reap_at, attempt)
    select 'x', 'assigned', 'a', 1, now() - interval '1 s', now() - interval '1 s', 1 from generate_series(1, 3)`
  for (const n of [1, 2, 3]) {
    await message(`m${n}`, 0, [{ status: 'ready', expires_at: days(0.1), is_unknown: n === 1 }])
    await insert(sql, 'trade_opportunities', { market_id: `m${n}`, side: 'NO', expires_at: days(0.1) })
  }
  await message('in a mailbox', 0, [{ status: 'ready', expires_at: days(0.1), token: 7 }])
  expect(await call(sql, 'sweep_rows', { limit: 2 })).toEqual({ jobs: 2, messages: 2, expired: 2 })
  expect(await call(sql, 'sweep_rows', {})).toEqual({ jobs: 1, messages: 1, expired: 1 })
  expect(await call(sql, 'sweep_rows', {})).toEqual({ jobs: 0, messages: 0, expired: 0 })
  const reasons =
    await db.sql`select m.subject, d.dead_reason from public.agent_deliveries d join public.agent_messages m on m.id = d.message_id order by 1`
  expect(reasons.map(({ dead_reason }) => dead_reason)).toEqual([null, 'unknown_address', 'expired', 'expired'])
  expect(await failure(call(sql, 'sweep_rows', { limit: 'all' }))).toMatchObject({ code: '22P02' })
})
