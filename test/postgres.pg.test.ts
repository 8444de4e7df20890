import { expect, inject, test } from 'vitest'
import { freshDatabase } from './postgres.ts'
import { withClient } from './postgres-setup.ts'

test('each test has a migrated database of its own, which is gone afterwards', async () => {
  const names = await (async () => {
    await using one = await freshDatabase()
    await using other = await freshDatabase()
    await one.sql`create table public.mark (id integer)`
    expect(await other.sql`select to_regclass('public.mark') as mark, to_regnamespace('troupe')::text as schema`).toEqual([
      { mark: null, schema: 'troupe' },
    ])
    return [one, other].map(({ url }) => new URL(url).pathname.slice(1))
  })()
  const left = await withClient(inject('postgres').url, (sql) => sql`select from pg_database where datname = any(${names})`)
  expect(left).toHaveLength(0)
})

test('legacy grants open new tables to anon, today’s do not', async () => {
  await using today = await freshDatabase({ migrate: false })
  await using legacy = await freshDatabase({ migrate: false, legacyGrants: true })
  await using migrated = await freshDatabase({ legacyGrants: true })
  const opened = [today, legacy, migrated].map(async ({ sql }) => {
    await sql`create table public.mark (id integer)`
    const [row] = await sql`select has_table_privilege('anon', 'public.mark', 'select') as opened`
    return row?.opened
  })
  expect(await Promise.all(opened)).toEqual([false, true, true])
})

test('a client acts as the role it was opened for', async () => {
  await using db = await freshDatabase()
  const client = db.connect({ role: 'authenticated', max: 1 })
  expect(await client`select current_user as name`).toEqual([{ name: 'authenticated' }])
})

test('many databases can be made at once', async () => {
  const databases = await Promise.all(Array.from({ length: 8 }, () => freshDatabase({ max: 1 })))
  const rows = await Promise.all(databases.map(({ sql }) => sql`select 1 as one`))
  await Promise.all(databases.map((db) => db[Symbol.asyncDispose]()))
  expect(rows.flat()).toEqual(databases.map(() => ({ one: 1 })))
})
