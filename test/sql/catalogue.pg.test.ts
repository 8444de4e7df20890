import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { failure } from './rest.ts'
import { runWorkload } from './workload.ts'

const lint = await readFile(join(import.meta.dirname, 'lint.sql'), 'utf8')

const coordination = [
  'agent_jobs',
  'agent_messages',
  'agent_performance',
  'agent_status',
  'system_config',
  'trade_executions',
  'trade_opportunities',
]
const own = [
  'agent_claims',
  'agent_deliveries',
  'agent_leases',
  'agent_state',
  'agent_steps',
  'agent_timers',
  'agent_usage',
  'agent_usage_requests',
]
const dashboard = ['v_active_jobs', 'v_agent_dashboard', 'v_daily_performance', 'v_opportunity_pipeline']

describe.each([
  ['nothing is granted by default', false],
  ['new tables are granted to everybody', true],
])('where %s', (_, legacyGrants) => {
  let db: Database
  let sql: Client
  beforeAll(async () => {
    db = await freshDatabase({ legacyGrants, max: 1 })
    sql = db.sql
  })
  afterAll(() => db[Symbol.asyncDispose]())

  test('a linter finds nothing, after a workload', async () => {
    await using used = await freshDatabase({ legacyGrants, max: 1 })
    await runWorkload(used)
    expect(await used.sql.unsafe(lint)).toEqual([])
  })

  test('each table has the policies meant for it', async () => {
    const policies =
      await sql`select tablename || ' ' || policyname || ' ' || cmd || ' ' || array_to_string(roles, ',') as policy from pg_policies where schemaname = 'public'`
    expect(policies.map(({ policy }) => policy).sort()).toEqual(
      [
        ...[...coordination, ...own].map((table) => `${table} service_role_all ALL service_role`),
        ...coordination.map((table) => `${table} dashboard_read SELECT authenticated`),
      ].sort(),
    )
  })

  test.each(['anon', 'authenticated'] as const)('%s is refused by every table, view, sequence and function', async (role) => {
    const client = db.connect({ role, max: 1 })
    const statements = [...(await tableStatements()), ...(await sequenceStatements()), ...(await functionStatements())]
    const passed: string[] = []
    for (const statement of statements) {
      const error = await failure(client.unsafe(statement))
      if (error?.code !== '42501') passed.push(`${statement}: ${error?.code ?? 'passed'}`)
    }
    const readable = role === 'authenticated' ? [...dashboard, 'agent_performance', 'system_config'] : []
    expect(statements.length).toBeGreaterThan(150)
    expect(passed.sort()).toEqual(readable.map((name) => `select * from public.${name}: passed`).sort())
  })

  async function tableStatements(): Promise<string[]> {
    const tables = await sql`
      select n.nspname || '.' || c.relname as name, a.attname as column_name, c.relkind, pg_relation_is_updatable(c.oid, false) > 0 as updatable
      from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum = 1
      where n.nspname in ('public', 'troupe') and c.relkind in ('r', 'v')`
    return tables.flatMap(({ name, column_name, relkind, updatable }) => [
      `select * from ${name}`,
      ...(updatable ? [`insert into ${name} default values`, `update ${name} set ${column_name} = null`, `delete from ${name}`] : []),
      ...(relkind === 'r' ? [`truncate ${name} cascade`] : []),
    ])
  }

  async function sequenceStatements(): Promise<string[]> {
    const sequences = await sql`select schemaname || '.' || sequencename as name from pg_sequences where schemaname in ('public', 'troupe')`
    return sequences.flatMap(({ name }) => [`select nextval('${name}')`, `select setval('${name}', 1)`, `select last_value from ${name}`])
  }

  async function functionStatements(): Promise<string[]> {
    const functions = await sql`
      select n.nspname || '.' || p.proname as name,
        (select coalesce(string_agg('null::' || format_type(type, null), ', '), '') from unnest(p.proargtypes) type) as arguments
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('public', 'troupe')`
    return functions.map(({ name, arguments: given }) => `select ${name}(${given})`)
  }

  test('a person who is signed in sees the dashboards, and of the tables no payload, token or config', async () => {
    const client = db.connect({ role: 'authenticated', max: 1 })
    for (const view of dashboard) await client`select * from ${client(`public.${view}`)}`
    const hidden = [
      'agent_jobs.payload',
      'agent_jobs.lease_token',
      'agent_jobs.result',
      'agent_messages.payload',
      'agent_messages.body',
      'agent_status.config',
      'trade_executions.idempotency_key',
    ]
    for (const column of hidden) {
      const [table = '', name = ''] = column.split('.')
      expect({ column, ...(await failure(client`select ${client(name)} from ${client(`public.${table}`)}`)) }).toMatchObject({
        column,
        code: '42501',
      })
    }
    expect(await failure(client`update public.system_config set value = 'false'`)).toMatchObject({ code: '42501' })
  })

  test('the service role can do everything in every table', async () => {
    const client = db.connect({ role: 'service_role', max: 1 })
    const rolledBack = client.begin(async (transaction) => {
      for (const table of [...coordination, ...own]) {
        await transaction`select * from ${transaction(`public.${table}`)}`
        await transaction`delete from ${transaction(`public.${table}`)}`
      }
      await transaction`insert into public.agent_state (agent_id, version, state, token) values ('a', 1, '{}', 1)`
      await transaction`update public.agent_state set version = 2`
      throw new Error('roll back')
    })
    expect(await failure(rolledBack)).toMatchObject({ message: 'roll back' })
    for (const view of [...dashboard, 'v_dead_jobs', 'v_dead_letters', 'v_dropped_letters'])
      await client`select * from ${client(`public.${view}`)}`
  })
})

// A linter that finds nothing might not look: each rule is shown something to find.
test.each([
  ['foreign_key_without_index', 'create table public.t (id int primary key, job_id uuid references public.agent_jobs (id))'],
  ['no_primary_key', 'create table public.t (id int)'],
  ['unused_index', 'create index i on public.agent_jobs (created_by)'],
  ['duplicate_index', 'create index i on public.agent_messages (created_at)'],
  ['duplicate_index', 'create index i on public.trade_executions (created_at, market_id)'],
  ['row_security_off', 'alter table public.agent_jobs disable row level security'],
  ['policy_without_row_security', 'alter table public.agent_jobs disable row level security'],
  ['row_security_without_policy', 'drop policy service_role_all on public.agent_state'],
  ['several_permissive_policies', 'create policy more on public.agent_jobs for update to service_role using (true)'],
  ['several_permissive_policies', 'create policy more on public.agent_jobs for select using (true)'],
  [
    'policy_calls_per_row',
    `create policy mine on public.agent_state for select to anon using (agent_id = current_setting('request.agent', true))`,
  ],
  ['write_policy_always_true', 'create policy open on public.agent_state for insert to anon with check (true)'],
  ['write_policy_always_true', 'create policy open on public.agent_state for all using (true)'],
  ['view_with_owner_rights', 'create view public.v as select 1 as one; grant select on public.v to anon'],
  ['function_search_path', `create function troupe.f() returns int language sql as 'select 1'`],
  ['security_definer', `alter function public.schema_version() security definer`],
  ['function_for_everybody', `create function public.f() returns int language sql set search_path = '' as 'select 1'`],
  ['overloaded_function', `create function public.complete_job(p_job_id uuid) returns void language sql set search_path = '' as ''`],
  ['extension_in_public', 'create extension ltree'],
  ['relation_in_api', 'create materialized view public.m as select 1 as one'],
  ['secret_column', 'grant select on public.agent_state to authenticated'],
  ['reg_type', 'alter table public.agent_state add column kind regproc'],
  ['open_to_anon', 'grant update (priority) on public.agent_jobs to anon'],
  ['writable_by_authenticated', 'grant insert on public.agent_jobs to authenticated'],
  ['open_sequence', 'grant usage on sequence troupe.delivery_seq to anon'],
  ['open_schema', 'grant usage on schema troupe to anon'],
  ['closed_to_service_role', 'revoke delete on public.agent_jobs from service_role'],
  ['closed_to_service_role', 'revoke execute on function public.schema_version() from service_role'],
  ['pinned_plan_is_compiled', 'alter function public.claim_jobs(jsonb) reset jit'],
  ['loose_status', 'alter table public.agent_jobs alter column status drop not null'],
  ['loose_status', 'alter table public.agent_jobs drop constraint agent_jobs_status_word'],
])('the linter sees %s: %s', async (rule, statement) => {
  const found = await linted.sql
    .begin(async (transaction) => {
      await transaction.unsafe(statement)
      return Promise.reject({ findings: await transaction.unsafe(lint) })
    })
    .catch(({ findings }) => findings as { rule: string }[])
  expect(found.filter((finding) => finding.rule === rule).length).toBeGreaterThan(before.filter((finding) => finding.rule === rule).length)
})
let linted: Database
let before: { rule: string }[]
beforeAll(async () => {
  linted = await freshDatabase({ max: 1 })
  before = await linted.sql.unsafe(lint)
})
afterAll(() => linted[Symbol.asyncDispose]())
