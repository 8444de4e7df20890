import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backoffDelay, failureKind } from '../../src/store/failure.ts'
import { quoteJsonScalars } from '../../src/store/json-fields.ts'
import { isStorable } from '../../src/store/json-text.ts'
import { createGate, generateServiceKey, serviceKeys } from '../../src/store/keys.ts'
import { missingFrom, readMigrations } from '../../src/store/migrate.ts'
import { faithfulError, sqlFailure } from '../../src/store/sql-failure.ts'
import { storeTarget } from '../../src/store/target.ts'
import { planUpkeep } from '../../src/store/upkeep.ts'
import { runs } from '../seed.ts'

describe('what a failure means', () => {
  test.each([
    [0, '', 'unavailable'],
    [503, '', 'unavailable'],
    [429, '', 'unavailable'],
    [500, '40001', 'unavailable'],
    [500, '40P01', 'unavailable'],
    [500, '57P01', 'unavailable'],
    [500, '57014', 'unavailable'],
    [500, '25P03', 'unavailable'],
    [405, '25006', 'unavailable'],
    [500, '55P03', 'unavailable'],
    [500, '58030', 'unavailable'],
    [503, '08006', 'unavailable'],
    [503, '53300', 'unavailable'],
    [503, 'PGRST001', 'unavailable'],
    [409, 'PT409', 'conflict'],
    [400, 'PT400', 'refused'],
    [400, '22P05', 'data'],
    [400, '22P02', 'data'],
    [409, '23505', 'data'],
    [404, 'PGRST202', 'schema'],
    [404, '42883', 'schema'],
    [403, '42501', 'denied'],
    [401, '', 'denied'],
    [500, 'XX000', 'refused'],
    [400, 'P0001', 'refused'],
    [404, '', 'refused'],
  ])('%i %s is %s', (status, code, kind) => {
    expect(failureKind(status, code)).toBe(kind)
  })
})

test('a pause grows to its limit and spreads over half of itself', () => {
  const backoff = { base: 50, max: 2_000 }
  expect([1, 2, 3, 10].map((attempt) => [backoffDelay(attempt, backoff, 0), backoffDelay(attempt, backoff, 1)])).toEqual([
    [50, 25],
    [100, 50],
    [200, 100],
    [2_000, 1_000],
  ])
})

test('texts are storable exactly when they are well formed and hold no NUL', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '\\', '"', 'u0000', '\u0000', '\ud800', '\udc00', '𝄞', 'ud83d') })
  const isRight = fc.property(fc.dictionary(text, text), (value) => {
    const texts = Object.entries(value).flat()
    return isStorable(JSON.stringify(value)) === texts.every((one) => one.isWellFormed() && !one.includes('\0'))
  })
  return fc.assert(isRight, runs())
})

test('scalars in JSON fields are quoted, everything else is left as it is', () => {
  const fields = new Set(['value'])
  const quote = (body: unknown, times: 1 | 2 = 1) => JSON.parse(quoteJsonScalars(JSON.stringify(body), fields, times))
  expect([
    quote({ value: 'a', other: 'b' }),
    quote([{ value: true }, { value: { value: 'c' } }, { value: null }], 2),
    quote({ deep: { value: 'd' } }),
    quoteJsonScalars('{"value": "not JSON', fields, 1),
  ]).toEqual([
    { value: '"a"', other: 'b' },
    [{ value: '"true"' }, { value: { value: 'c' } }, { value: null }],
    { deep: { value: 'd' } },
    '{"value": "not JSON',
  ])
})

describe('keys', () => {
  test('have two forms that follow from each other, and open the gate', () => {
    const key = generateServiceKey()
    const { secret, jwt } = serviceKeys(key)
    const claims = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString())
    const admits = createGate(jwt)
    expect({
      again: serviceKeys(key),
      secret,
      role: claims.role,
      own: admits(new Headers({ apikey: jwt })),
      other: admits(new Headers({ apikey: key })),
    }).toEqual({ again: { secret, jwt }, secret: key, role: 'service_role', own: true, other: false })
  })
})

describe('the ledger', () => {
  const known = ['20260101000000', '20260201000000'].map((version) => ({ version, name: 'm', sql: '' }))

  test('tells what is missing, whatever else a project has applied before and after', () => {
    expect(missingFrom(['20250101000000', '20260101000000', '20260301000000'], known)).toEqual([known[1]])
  })

  test('knows the shipped migrations, in order', async () => {
    const versions = (await readMigrations()).map(({ version }) => version)
    expect(versions).toEqual(versions.toSorted())
    expect(new Set(versions).size).toBe(versions.length)
  })

  test('ends with a migration that makes schema_version() tell its number', async () => {
    const last = (await readMigrations()).at(-1)
    expect(last?.sql).toContain(`function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '${last?.version}' $$`)
  })

  test('needs a folder of migrations', async () => {
    await expect(readMigrations(import.meta.dirname)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

describe('errors of the drivers', () => {
  test('keep their code on the way through lite', () => {
    const raised = Object.assign(new Error('late'), { code: '40001', detail: 'd' })
    const { code, message, detail } = faithfulError(raised) as { code: string; message: string; detail: string }
    expect({ code, message: JSON.parse(message), detail: JSON.parse(detail) }).toEqual({
      code: 'PGRST',
      message: { code: '40001', message: 'late', details: 'd', hint: null },
      detail: { status: 500, headers: {} },
    })
  })

  test('are left alone when lite knows them', () => {
    const known = ['PT409', '22P02', '23505', '42501', 'PGRST'].map((code) => Object.assign(new Error('x'), { code }))
    expect(known.map(faithfulError)).toEqual(known)
  })

  test('of a lost connection get the code that the database has for it', () => {
    const codes = ['ECONNREFUSED', 'CONNECTION_CLOSED', 'CONNECT_TIMEOUT'].map(
      (code) => sqlFailure(Object.assign(new Error('x'), { code })).code,
    )
    expect(codes).toEqual(['08006', '08006', '08006'])
  })
})

describe('the environment', () => {
  const url = 'https://abc.supabase.co'
  const key = 'sb_secret_0123456789abcdef'
  const databaseUrl = 'postgres://user:secret@host:6543/db'

  test.each([
    [{}, { kind: 'embedded', key: undefined }],
    [{ SUPABASE_SERVICE_KEY: key }, { kind: 'embedded', key }],
    [
      { SUPABASE_URL: url, SUPABASE_SERVICE_KEY: key },
      { kind: 'hosted', url, key, databaseUrl: undefined },
    ],
    [
      { SUPABASE_URL: url, SUPABASE_SERVICE_KEY: key, DATABASE_URL: databaseUrl },
      { kind: 'hosted', url, key, databaseUrl },
    ],
    [
      { DATABASE_URL: databaseUrl, SUPABASE_URL: '' },
      { kind: 'postgres', url: databaseUrl },
    ],
    [
      { SUPABASE_URL: url, SUPABASE_SERVICE_KEY: key, ENABLE_SUPABASE: 'false' },
      { kind: 'embedded', key: undefined },
    ],
    [
      { DATABASE_URL: databaseUrl, ENABLE_SUPABASE: 'false' },
      { kind: 'embedded', key: undefined },
    ],
  ])('%j asks for a store', (env, target) => {
    expect(storeTarget(env)).toEqual(target)
  })

  test.each([
    [{ ENABLE_SUPABASE: 'true' }, /ENABLE_SUPABASE is true.*no SUPABASE_URL and SUPABASE_SERVICE_KEY/],
    [{ ENABLE_SUPABASE: 'maybe' }, /ENABLE_SUPABASE: expected true or false, found "maybe"/],
    [{ SUPABASE_URL: url }, /expected SUPABASE_SERVICE_KEY/],
    [{ SUPABASE_URL: 'abc.supabase.co', SUPABASE_SERVICE_KEY: key }, /SUPABASE_URL: expected an http/],
    [{ DATABASE_URL: 'mysql://secret@host/db' }, /DATABASE_URL: expected a postgres/],
    [{ SUPABASE_SERVICE_KEY: 'short' }, /SUPABASE_SERVICE_KEY: expected a service key/],
  ])('%j is refused by name', (env, message) => {
    const error = failure(() => storeTarget(env))
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) })
    expect(String(error)).not.toMatch(/mysql|secret@|short/)
  })
})

test('upkeep vacuums what is due and makes a checkpoint when the log has grown', () => {
  const table = (name: string, live: number, dead: number, changed: number) => ({ name, live, dead, changed })
  const tables = [table('quiet', 10_000, 900, 900), table('dead', 10_000, 1_501, 0), table('changed', 0, 0, 501)]
  expect([planUpkeep({ walBytes: 1e6, tables }), planUpkeep({ walBytes: 1e8, tables: [] })]).toEqual([
    ['vacuum (analyze) dead', 'vacuum (analyze) changed'],
    ['checkpoint'],
  ])
})

function failure(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}
