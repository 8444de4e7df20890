import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readMigrations } from '../../src/store/migrate.ts'
import { buildSchema } from '../../supabase/build.ts'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { catalogueOf } from './catalogue.ts'
import { call, failure, insert, rpc } from './rest.ts'
import { runWorkload } from './workload.ts'

const schema = buildSchema(await readMigrations())
const original = await readFile(join(import.meta.dirname, 'original.sql'), 'utf8')

/** A database with the original Python system in it. */
async function originalDatabase(legacyGrants: boolean): Promise<Database> {
  const db = await freshDatabase({ migrate: false, legacyGrants, max: 1 })
  await db.sql.unsafe(original)
  return db
}

const tables = [
  'agent_jobs',
  'agent_messages',
  'agent_status',
  'trade_opportunities',
  'trade_executions',
  'agent_performance',
  'system_config',
]

/** Every row of every table of public, sorted. */
async function rowsOf(sql: Client): Promise<Record<string, unknown>> {
  const names =
    await sql`select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`
  const rows: Record<string, unknown> = {}
  for (const { name } of names) {
    const [row] = await sql`select jsonb_agg(to_jsonb(t) order by t::text) as rows from ${sql(`public.${name}`)} t`
    rows[name] = row?.rows
  }
  return rows
}

test.each([false, true])('61: loading again changes nothing, neither schema nor rows (old grants: %s)', async (legacyGrants) => {
  await using db = await freshDatabase({ legacyGrants, max: 1 })
  await db.sql.unsafe(schema)
  await runWorkload(db)
  const before = { catalogue: await catalogueOf(db.sql), rows: await rowsOf(db.sql) }
  await db.sql.unsafe(schema)
  expect({ catalogue: await catalogueOf(db.sql), rows: await rowsOf(db.sql) }).toEqual(before)
})

test.each([false, true])('61: loads over the original tables and keeps their rows (old grants: %s)', async (legacyGrants) => {
  await using db = await originalDatabase(legacyGrants)
  const before = (await rowsOf(db.sql)) as Record<string, Record<string, unknown>[]>
  await db.sql.unsafe(schema)
  const after = (await rowsOf(db.sql)) as Record<string, Record<string, unknown>[]>

  const count = (rows: typeof before) => Object.fromEntries(tables.map((table) => [table, rows[table]?.length]))
  expect(count(after)).toEqual({ ...count(before), agent_performance: 1, system_config: 7 })
  const pick = (table: string, columns: string[]) => after[table]?.map((row) => columns.map((column) => row[column]).join(' '))
  expect({
    jobs: pick('agent_jobs', ['job_type', 'status', 'target_agent', 'priority', 'dead_reason']),
    messages: pick('agent_messages', ['subject', 'read']),
    agents: pick('agent_status', ['agent_id', 'agent_type', 'status', 'total_profit', 'current_job']),
    opportunities: pick('trade_opportunities', ['market_id', 'status', 'current_price']),
    executions: pick('trade_executions', ['status', 'stage', 'amount', 'pnl', 'settled_at']),
    performance: pick('agent_performance', ['agent_id', 'trades_executed']),
    exposure: pick('system_config', ['key', 'value'])?.filter((row) => row.startsWith('max_daily')),
  }).toEqual({
    jobs: [
      'execute_trade pending  3 ',
      'deep_research pending trader-1 5 ',
      'scan_markets pending  5 ',
      'report completed  5 ',
      'execute_trade failed  5 failed',
    ],
    messages: ['New Trade Opportunity true', 'Check false'],
    agents: ['scanner-1 scanner working 0 ', 'trader-1 trader offline 12.5 00000000-0000-0000-0000-000000000002'],
    opportunities: ['m1 pending 0.4', 'm2 expired 0.3'],
    executions: ['executed filled 5  ', 'pending ordered 2.5  ', 'settled closed 1 1 2026-01-02T03:05:00+00:00', 'failed closed 1  '],
    performance: ['trader-1 3'],
    exposure: ['max_daily_exposure 50'],
  })
})

test.each([false, true])(
  '61: an upgraded database is like a new one, but for an index of its own (old grants: %s)',
  async (legacyGrants) => {
    await using upgraded = await originalDatabase(legacyGrants)
    await upgraded.sql.unsafe(schema)
    await using fresh = await freshDatabase({ migrate: false, legacyGrants, max: 1 })
    await fresh.sql.unsafe(schema)
    const { indexes: { idx_agent_jobs_queue: kept, ...indexes } = {}, ...catalogue } = await catalogueOf(upgraded.sql)
    expect(kept).toMatch(/priority, created_at/)
    expect({ ...catalogue, indexes }).toEqual(await catalogueOf(fresh.sql))
  },
)

test('61: the calls of Python agents and ours work in an upgraded database', async () => {
  await using db = await originalDatabase(true)
  await db.sql.unsafe(schema)
  const sql = db.connect({ role: 'service_role', max: 1 })
  expect(await rpc(sql, 'claim_next_job', { agent_id: 'trader-1' })).toMatchObject([{ job_type: 'deep_research' }])
  await rpc(sql, 'complete_job', { p_job_id: '00000000-0000-0000-0000-000000000002', p_success: true, p_result: {}, p_error: null })
  await rpc(sql, 'update_agent_heartbeat', { p_agent_id: 'trader-1', p_status: 'idle', p_current_job: null })
  await rpc(sql, 'broadcast_message', { p_from_agent: 'trader-1', p_subject: 's', p_content: 'c', p_payload: {}, p_priority: 'high' })
  const opportunity = { market_id: 'm9', side: 'YES', current_price: 0.123456, confidence: 0.9 }
  expect(await call(sql, 'publish_opportunity', { opportunity })).toMatchObject({ verdict: 'ok' })
  await call(sql, 'sync_node', { node_id: 'n', agents: [{ agent_id: 'a', action: 'take' }] })
  expect(await call(sql, 'send_messages', { messages: [{ from_agent: 'b', to_agent: 'a', type: 't' }] })).toMatchObject([{ verdict: 'ok' }])
  expect(await call(sql, 'reserve_execution', { idempotency_key: 'k', market_id: 'm9', side: 'YES', amount: 0.005 })).toMatchObject({
    verdict: 'ok',
  })
  expect(
    await sql`select o.current_price, e.amount from public.trade_opportunities o join public.trade_executions e using (market_id) where market_id = 'm9'`,
  ).toEqual([{ current_price: '0.123456', amount: '0.005' }])
})

test.each([
  [
    'trade_opportunities',
    `update public.trade_opportunities set current_price = -5 where market_id = 'm1'`,
    '00000000-0000-0000-0000-000000000021',
  ],
  [
    'trade_opportunities',
    `update public.trade_opportunities set side = 'MAYBE' where market_id = 'm2'`,
    '00000000-0000-0000-0000-000000000022',
  ],
  ['trade_executions', `update public.trade_executions set amount = -1 where tx_hash = '0x3'`, '00000000-0000-0000-0000-000000000033'],
  [
    'agent_performance',
    `update public.agent_performance set period = 'yearly' where trades_executed = 3`,
    '00000000-0000-0000-0000-000000000042',
  ],
  ['agent_status', `update public.agent_status set capabilities = '"all"' where agent_id = 'trader-1'`, 'trader-1'],
  ['system_config', `insert into public.system_config values ('risk_mode', '"reckless"')`, 'risk_mode'],
  [
    'agent_jobs',
    `alter table public.agent_jobs alter column job_type drop not null; update public.agent_jobs set job_type = null where priority = 3`,
    '00000000-0000-0000-0000-000000000001',
  ],
  [
    'trade_executions',
    'alter table public.trade_executions alter column amount drop not null; update public.trade_executions set amount = null where pnl = 1',
    '00000000-0000-0000-0000-000000000033',
  ],
])('61: a load that fails over a row of %s names it and changes nothing: %s', async (table, spoil, id) => {
  await using db = await originalDatabase(false)
  await db.sql.unsafe(spoil)
  const before = {
    catalogue: (await db.sql`select oid::regclass from pg_class where relnamespace = 'public'::regnamespace`).length,
    rows: await rowsOf(db.sql),
  }
  const error = await failure(db.sql.unsafe(schema))
  expect(error).toMatchObject({ code: '23514', message: expect.stringContaining(`${table}: row ${id} breaks`) })
  await db.sql`rollback`
  expect({
    catalogue: (await db.sql`select oid::regclass from pg_class where relnamespace = 'public'::regnamespace`).length,
    rows: await rowsOf(db.sql),
  }).toEqual(before)
})

test('61: what people have added since survives a second load', async () => {
  await using db = await freshDatabase({ migrate: false, max: 1 })
  await db.sql.unsafe(schema)
  await db.sql.unsafe(`
    create policy mine on public.agent_status for select to authenticated using (agent_id = 'x');
    alter table public.agent_jobs add constraint mine check (created_by <> 'nobody');
    create view public.v_mine as select id from public.v_active_jobs;
    update public.system_config set value = '99' where key = 'max_position_size'`)
  const before = await catalogueOf(db.sql)
  await db.sql.unsafe(schema)
  expect(await catalogueOf(db.sql)).toEqual(before)
  expect(await db.sql`select value from public.system_config where key = 'max_position_size'`).toEqual([{ value: 99 }])
})

test('roles that exist are left as they are', async () => {
  await using db = await freshDatabase({ migrate: false, max: 1 })
  const roles = () =>
    db.sql`select rolname, rolsuper, rolinherit, rolcanlogin, rolbypassrls, rolconfig from pg_roles where rolname in ('anon', 'authenticated', 'service_role') order by 1`
  const before = await roles()
  await db.sql.unsafe(schema)
  expect(await roles()).toEqual(before)
  expect(before).toHaveLength(3)
})

test.each([
  ['one that publishes all tables', 'create publication supabase_realtime for all tables', true],
  [
    'one with a table of the user’s',
    'create table public.mine (id int primary key); create publication supabase_realtime for table public.mine',
    false,
  ],
  ['one with one of ours, inserts only', `create publication supabase_realtime with (publish = 'insert')`, false],
  ['one for the whole schema', 'create publication supabase_realtime for tables in schema public', false],
])('the publication stays what it is: %s', async (_, create, puballtables) => {
  await using db = await freshDatabase({ migrate: false, max: 1 })
  await db.sql.unsafe(create)
  const settings = () =>
    db.sql`select oid, pubowner, puballtables, pubinsert, pubupdate from pg_publication where pubname = 'supabase_realtime'`
  const before = await settings()
  await db.sql.unsafe(schema)
  await db.sql.unsafe(schema)
  expect(await settings()).toEqual(before)
  expect(before).toMatchObject([{ puballtables }])
  const published = await db.sql`select tablename from pg_publication_tables where pubname = 'supabase_realtime'`
  expect(published.map(({ tablename }) => tablename)).toEqual(expect.arrayContaining(tables))
  if (create.includes('mine')) expect(published).toHaveLength(8)
})

test('other publications are not touched', async () => {
  await using db = await freshDatabase({ migrate: false, max: 1 })
  await db.sql`create publication other`
  await db.sql.unsafe(schema)
  expect(await db.sql`select from pg_publication_tables where pubname = 'other'`).toHaveLength(0)
})

test('four loads at once of an empty database are one load', async () => {
  await using db = await freshDatabase({ migrate: false, max: 1 })
  const clients = Array.from({ length: 4 }, () => db.connect({ max: 1 }))
  await Promise.all(clients.map((client) => client.unsafe(schema)))
  await using fresh = await freshDatabase({ migrate: false, max: 1 })
  await fresh.sql.unsafe(schema)
  expect(await catalogueOf(db.sql)).toEqual(await catalogueOf(fresh.sql))
})

test('an older file does not take a newer schema back', async () => {
  await using db = await freshDatabase({ max: 1 })
  await db.sql`create or replace function public.schema_version() returns text language sql immutable set search_path = '' as $$ select '20990101000000' $$`
  expect(await failure(db.sql.unsafe(schema))).toMatchObject({ message: expect.stringContaining('20990101000000') })
  await db.sql`rollback`
  expect(await insert(db.sql, 'agent_jobs', { job_type: 'x' })).toMatchObject({ status: 'pending' })
})
