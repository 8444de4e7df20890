import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { describe, expect, test } from 'vitest'
import { readMigrations } from '../../src/store/migrate.ts'
import { unpackDatabase } from '../../src/store/unpack.ts'
import { buildSchema } from '../../supabase/build.ts'
import { tempFolder } from '../helpers.ts'
import { type Catalogue, type Query, readCatalogue } from './catalogue.ts'

const text = (name: string) => readFile(join(import.meta.dirname, name), 'utf8')
const [schema, lint, original] = await Promise.all([readMigrations().then(buildSchema), text('lint.sql'), text('original.sql')])

/** An empty PGlite as Troupe ships it, in a folder of its own; `legacyGrants` as the helper of the pg suites has it. */
async function openPglite({ legacyGrants = false } = {}) {
  const folder = await tempFolder()
  await unpackDatabase(join(import.meta.dirname, '../../supabase/embedded/pg18.tar.zst'), join(folder.path, 'db'))
  const database = await PGlite.create({ dataDir: join(folder.path, 'db') })
  if (legacyGrants) {
    await database.exec(`create role anon; create role authenticated; create role service_role bypassrls;
      alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
      alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
      alter default privileges in schema public grant all on sequences to anon, authenticated, service_role`)
  }
  const query: Query = async (sql) => (await database.query<Record<string, unknown>>(sql)).rows
  return {
    load: (sql: string) => database.exec(sql),
    query,
    catalogue: () => readCatalogue(query),
    as: (role: string, sql: string) => database.exec(`set role ${role}; ${sql}`).finally(() => database.exec('reset role')),
    [Symbol.asyncDispose]: async () => {
      await database.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

const counts = (catalogue: Catalogue) =>
  Object.fromEntries(Object.entries(catalogue).map(([kind, found]) => [kind, Object.keys(found).length]))

const sizes = { policies: 22, publications: 7, views: 7, callable: 11 }

describe.each([false, true])('PGlite, old grants: %s', (legacyGrants) => {
  test('61: loads twice, closes everything to anon and passes the linter', async () => {
    await using database = await openPglite({ legacyGrants })
    await database.load(schema)
    const first = await database.catalogue()
    await database.load(schema)
    expect(await database.catalogue()).toEqual(first)
    expect(counts(first)).toMatchObject(sizes)
    // No workload runs here, so no index was used; the pg suite looks at those.
    expect((await database.query(lint)).filter(({ rule }) => rule !== 'unused_index')).toEqual([])
    for (const statement of ['select * from public.agent_jobs', 'select public.claim_jobs(null)', 'select troupe.now()']) {
      await expect(database.as('anon', statement)).rejects.toMatchObject({ code: '42501' })
    }
    await database.as('service_role', `select public.create_jobs('[{"job_type": "x"}]'); select * from public.claim_next_job('a')`)
    expect(await database.query('select status, assigned_to from public.agent_jobs')).toEqual([{ status: 'assigned', assigned_to: 'a' }])
  })

  test('61: loads over the original tables', async () => {
    await using database = await openPglite({ legacyGrants })
    await database.load(original)
    await database.load(schema)
    expect(counts(await database.catalogue())).toMatchObject(sizes)
    expect((await database.query(lint)).filter(({ rule }) => rule !== 'unused_index')).toEqual([])
    expect(await database.query('select count(*)::int as jobs from public.agent_jobs')).toEqual([{ jobs: 5 }])
  })
})
