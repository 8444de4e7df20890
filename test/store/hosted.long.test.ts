import { createClient } from '@supabase/supabase-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EmbeddedStore, openEmbedded } from '../../src/store/embedded.ts'
import { serviceKeys } from '../../src/store/keys.ts'
import { latestVersion, readMigrations } from '../../src/store/migrate.ts'
import { serveStore } from '../../src/store/serve.ts'
import { tempFolder } from '../helpers.ts'
import { testStore } from './conformance.ts'

let folder: Awaited<ReturnType<typeof tempFolder>>
let served: EmbeddedStore

beforeAll(async () => {
  folder = await tempFolder()
  served = await openEmbedded({ folder: folder.path, migrations: await readMigrations() })
})
afterAll(async () => {
  await served?.close()
  await folder?.[Symbol.asyncDispose]()
})

describe('the hosted store, over a real socket', () => {
  testStore(async () => {
    const schema = latestVersion(await readMigrations())
    const { url, key } = served.holder
    const migrate = () => Promise.reject(new Error('Not here'))
    return {
      kind: 'hosted',
      where: url,
      url,
      key,
      fetch: undefined,
      offersSql: true,
      schema,
      query: served.query,
      migrate,
      close: async () => {},
    }
  })
})

describe('the served port', () => {
  const ask = (path: string, headers: Record<string, string>, init: RequestInit = {}) =>
    fetch(new URL(path, served.holder.url), { ...init, headers: { ...headers, ...(init.headers as Record<string, string>) } })
  const version = '/rest/v1/rpc/schema_version'

  test('opens to either form of the service key, in either header', async () => {
    const { secret, jwt } = serviceKeys(served.holder.key)
    const doors = [
      { apikey: secret },
      { apikey: jwt },
      { authorization: `Bearer ${secret}` },
      { authorization: `bearer ${jwt}` },
      { apikey: jwt, authorization: `Bearer ${secret}` },
    ]
    const answers = await Promise.all(doors.map((headers) => ask(version, headers as Record<string, string>)))
    expect(answers.map(({ status }) => status)).toEqual(doors.map(() => 200))
  })

  test('stays closed to everybody else, whatever they ask for', async () => {
    const { secret } = serviceKeys(served.holder.key)
    const strangers: Record<string, string>[] = [
      {},
      { apikey: '' },
      { apikey: 'sb_publishable_0123456789abcdef' },
      { apikey: `${secret}x` },
      { authorization: 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl' },
      { apikey: secret, authorization: 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl' },
    ]
    const places = [version, '/rest/v1/system_config', '/troupe/query', '/troupe/health', '/_system', '/']
    const answers = await Promise.all(strangers.flatMap((headers) => places.map((path) => ask(path, headers))))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
  })

  test('never lets a stranger in between the calls of the service role', async () => {
    const { key } = served.holder
    await served.query(
      `create function who() returns text language sql as 'select current_user::text'; grant execute on function who() to anon, service_role`,
    )
    const calls = Array.from({ length: 30 }, (_, at) =>
      ask('/rest/v1/rpc/who', { apikey: at % 3 === 0 ? 'sb_publishable_0123456789abcdef' : key }),
    )
    const answers = await Promise.all(calls.map(async (call) => (await (await call).json()) as string | { code: string }))
    expect(answers.map((answer) => (typeof answer === 'string' ? answer : answer.code))).toEqual(
      Array.from({ length: 30 }, (_, at) => (at % 3 === 0 ? 'HTTP401' : 'service_role')),
    )
  })

  test('answers any Supabase client', async () => {
    const client = createClient(served.holder.url, serviceKeys(served.holder.key).jwt)
    const { data, error } = await client.from('system_config').select('key, value').eq('key', 'risk_mode').single()
    expect({ data, error }).toEqual({ data: { key: 'risk_mode', value: 'normal' }, error: null })
  })

  test('says clearly that a body is too large', async () => {
    const headers = { apikey: served.holder.key }
    const announced = await ask(version, headers, { method: 'POST', body: 'x'.repeat(33 * 1024 * 1024) })
    const small = await ask(version, headers, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })
    expect({ announced: [announced.status, await announced.json()], small: small.status }).toEqual({
      announced: [413, expect.objectContaining({ message: 'The body is larger than 32 MB' })],
      small: 200,
    })
  })

  test('does not fight for a port', async () => {
    const port = Number(new URL(served.holder.url).port)
    await expect(serveStore({ fetch: served.fetch, sql: served, key: served.holder.key, port })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `Cannot serve on 127.0.0.1:${port}: somebody else listens there`,
    })
  })

  test('has nothing but the REST API and what Troupe itself needs', async () => {
    const places = ['/_system', '/auth/v1/health', '/storage/v1/bucket', '/troupe/other', '/rest/v1/nothing']
    const answers = await Promise.all(places.map((path) => ask(path, { apikey: served.holder.key })))
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404])
  })
})
