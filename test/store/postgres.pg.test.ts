import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { mergeForServer } from '../../src/store/merge-settings.ts'
import { readMigrations } from '../../src/store/migrate.ts'
import { openBackend, openStore } from '../../src/store/open.ts'
import { tempFolder } from '../helpers.ts'
import { freshDatabase } from '../postgres.ts'
import { connectTo } from '../postgres-setup.ts'
import { startProxy } from '../soak/proxy.ts'
import { testStore } from './conformance.ts'
import { runTroupe } from './run-troupe.ts'

describe('the store over a PostgreSQL server', () => {
  testStore(async () => {
    const database = await freshDatabase()
    const backend = await openBackend({ env: { DATABASE_URL: database.url } })
    return {
      ...backend,
      async close() {
        await backend.close()
        await database[Symbol.asyncDispose]()
      },
    }
  })
})

const stored = "select string_agg(version, ',' order by version) from supabase_migrations.schema_migrations"

test('of two processes that migrate at once, one does it and the other finds it done', async () => {
  await using database = await freshDatabase({ migrate: false })
  await using folder = await tempFolder()
  const migrate = () => runTroupe(['db', 'migrate', '--json'], { cwd: folder.path, env: { DATABASE_URL: database.url } })
  const runs = await Promise.all([migrate(), migrate()])
  const all = (await readMigrations()).map(({ version, name }) => `${version}_${name}`)
  expect({
    codes: runs.map(({ code }) => code),
    applied: runs.map(({ out }) => JSON.parse(out).applied).sort((a, b) => a.length - b.length),
  }).toEqual({ codes: [0, 0], applied: [[], all] })
})

test('a server is not migrated by opening it, but its health tells', async () => {
  await using database = await freshDatabase({ migrate: false })
  await using store = await openStore({ env: { DATABASE_URL: database.url } })
  expect(await store.health()).toMatchObject({ status: 'unfit', schema: undefined, message: expect.stringContaining('troupe db migrate') })
})

test('a server that says nothing keeps nobody from closing', async () => {
  await using database = await freshDatabase()
  await using proxy = await startProxy(database.url)
  const store = await openStore({ env: { DATABASE_URL: proxy.url } })
  await store.call('claim_jobs', { p_batch: [] })
  proxy.freeze()
  const calls = Array.from({ length: 6 }, () => store.call('claim_jobs', { p_batch: [] }).catch(() => 'given up'))
  const began = performance.now()
  await store.close()
  // Of the 30 s that a container is given to end, the drain may take 20.
  expect([new Set(await Promise.all(calls)), performance.now() - began < 8_000]).toEqual([new Set(['given up']), true])
})

test("a project's own migrations, before ours and after, do not stand in the way", async () => {
  await using database = await freshDatabase({ migrate: false })
  const backend = await openBackend({ env: { DATABASE_URL: database.url } })
  try {
    await backend.migrate()
    await backend.query("insert into supabase_migrations.schema_migrations (version) values ('20200101000000'), ('99991231000000')")
    expect(await backend.migrate()).toMatchObject({ kind: 'migrated', applied: [] })
  } finally {
    await backend.close()
  }
})

test('a server with a newer schema is refused', async () => {
  await using database = await freshDatabase({ migrate: false })
  const env = { DATABASE_URL: database.url }
  const backend = await openBackend({ env })
  try {
    await backend.migrate()
    await backend.query("create or replace function public.schema_version() returns text language sql as $$ select '99991231000000' $$")
    const before = await backend.query(stored)
    await expect(backend.migrate()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('the newer schema 99991231000000'),
    })
    expect(await backend.query(stored)).toEqual(before)
  } finally {
    await backend.close()
  }
})

test('a user without the role is told the two lines that cure it, and they do', async () => {
  await using database = await freshDatabase()
  const role = `troupe "user" ${randomUUID().slice(0, 8)}`
  const quoted = `"${role.replaceAll('"', '""')}"`
  await database.sql.unsafe(`create role ${quoted} login`)
  try {
    const url = new URL(database.url)
    url.username = encodeURIComponent(role)
    const env = { DATABASE_URL: url.href }
    const error = (await openStore({ env }).catch((thrown: unknown) => thrown)) as Error
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
    const cure = error.message.match(/grant .*;/g) ?? []
    for (const line of cure) await database.sql.unsafe(line)
    await using store = await openStore({ env })
    expect({ cure: cure.length, health: await store.health() }).toMatchObject({ cure: 2, health: { status: 'ok' } })
  } finally {
    await database.sql.unsafe(`revoke service_role from ${quoted}; drop role ${quoted}`)
  }
})

test('calls go on when the server has ended all their connections', async () => {
  await using database = await freshDatabase()
  await using store = await openStore({ env: { DATABASE_URL: database.url } })
  const beat = (p_agent_id: string) => store.call('update_agent_heartbeat', { p_agent_id })
  await Promise.all(Array.from({ length: 10 }, (_, at) => beat(`before-${at}`)))
  const ended =
    await database.sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'troupe' and datname = current_database()`
  await Promise.all(Array.from({ length: 10 }, (_, at) => beat(`after-${at}`)))
  const [row] = await database.sql`select count(*)::int as agents from agent_status`
  expect({ ended: ended.length > 0, agents: row?.agents }).toEqual({ ended: true, agents: 20 })
})

test('opening grants nobody anything, as lite would by itself', async () => {
  await using database = await freshDatabase()
  const grants = () => database.sql`select relname, relacl::text from pg_class where relnamespace = 'public'::regnamespace order by relname`
  const before = await grants()
  await using store = await openStore({ env: { DATABASE_URL: database.url } })
  await store.read('system_config')
  expect([...(await grants())]).toEqual([...before])
})

test('a process that is frozen in the midst of a request does not keep its locks for ever', async () => {
  await using database = await freshDatabase()
  const frozen = connectTo(database.url, { max: 1 })
  try {
    mergeForServer(frozen, { pause: '200ms' })
    const session = await frozen.reserve()
    const lock = "select from system_config where key = 'risk_mode' for update"
    await session.unsafe('begin')
    await session.unsafe(lock)
    const other = database.sql.begin(async (waiter) => {
      await waiter`set local statement_timeout = '10s'`
      return (await waiter.unsafe(lock)).count
    })
    expect(await other).toBe(1)
  } finally {
    await frozen.end({ timeout: 1 })
  }
})
