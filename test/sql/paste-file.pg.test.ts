import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { applyMigrations, readMigrations } from '../../src/store/migrate.ts'
import { schemaFile } from '../../supabase/build.ts'
import { freshDatabase } from '../postgres.ts'
import { type Catalogue, catalogueOf } from './catalogue.ts'
import { untilBlockedBy } from './host.ts'

const run = promisify(execFile)
const hasPsql = await run('psql', ['--version']).then(
  () => true,
  () => false,
)
const migrations = await readMigrations()

/** Applies the migrations as `troupe db migrate` does. */
const migrate = (db: Awaited<ReturnType<typeof freshDatabase>>) =>
  db.sql.begin((transaction) =>
    applyMigrations({ run: (text, parameters = []) => transaction.unsafe(text, [...parameters] as string[]) }, migrations),
  )

let migrated: Catalogue
beforeAll(async () => {
  await using db = await freshDatabase({ migrate: false, max: 1 })
  await migrate(db)
  migrated = await catalogueOf(db.sql)
})

test('pasted once or twice, the file makes what the migrations make', async () => {
  const text = await readFile(schemaFile, 'utf8')
  await using db = await freshDatabase({ migrate: false, max: 1 })
  await db.sql.unsafe(text)
  expect(await catalogueOf(db.sql)).toEqual(migrated)
  await db.sql.unsafe(text)
  expect(await catalogueOf(db.sql)).toEqual(migrated)
  expect(Object.keys(migrated.functions ?? {}).length).toBeGreaterThan(50)
})

test.runIf(hasPsql)('psql runs the file, twice, without a word', async () => {
  await using db = await freshDatabase({ migrate: false, max: 1 })
  for (const _ of [1, 2]) {
    const { stderr } = await run('psql', ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', `--file=${schemaFile}`, db.url], {
      env: { ...process.env, PGOPTIONS: '-c client_min_messages=warning' },
    })
    expect(stderr).toBe('')
  }
  expect(await catalogueOf(db.sql)).toEqual(migrated)
})

test('whoever pastes the file while somebody migrates waits until that is done', async () => {
  const text = await readFile(schemaFile, 'utf8')
  await using db = await freshDatabase({ migrate: false, max: 1 })
  const session = await db.sql.reserve()
  await session`begin`
  const [{ pid } = { pid: 0 }] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`
  await applyMigrations({ run: (sql, parameters = []) => session.unsafe(sql, [...parameters] as string[]) }, migrations)
  const pasted = db.connect({ max: 1 }).unsafe(text).execute()
  await untilBlockedBy(db.connect({ max: 1 }), pid)
  await session`commit`
  session.release()
  await pasted
  expect(await catalogueOf(db.sql)).toEqual(migrated)
})

test('whoever pastes the file can migrate later, and the other way round', async () => {
  const text = await readFile(schemaFile, 'utf8')
  await using db = await freshDatabase({ migrate: false, max: 1 })
  await db.sql.unsafe(text)
  expect(await migrate(db)).toMatchObject({ kind: 'migrated', applied: [] })
  expect(await db.sql`select version, name from supabase_migrations.schema_migrations order by version`).toEqual(
    migrations.map(({ version, name }) => ({ version, name })),
  )
  await using other = await freshDatabase({ migrate: false, max: 1 })
  await migrate(other)
  await other.sql.unsafe(text)
  expect(await other.sql`select count(*)::int, count(statements)::int as kept from supabase_migrations.schema_migrations`).toEqual([
    { count: migrations.length, kept: migrations.length },
  ])
})

test('pgTAP agrees', async ({ skip }) => {
  await using db = await freshDatabase({ max: 1 })
  const available = await db.sql`select from pg_available_extensions where name = 'pgtap'`
  if (available.length === 0) skip('postgresql-15-pgtap is not installed')
  const text = await readFile(join(import.meta.dirname, '../../supabase/tests/schema.test.sql'), 'utf8')
  const results = (await db.sql.unsafe(text).simple()) as unknown as Record<string, unknown>[][]
  const lines = results.flat().flatMap((row) => Object.values(row).map(String))
  expect(lines.filter((line) => /^not ok|^#/.test(line))).toEqual([])
  expect(lines.filter((line) => line.startsWith('ok ')).length).toBeGreaterThan(200)
})
