import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { ActorError } from '../../src/core/errors.ts'
import type { Backend } from '../../src/store/open.ts'
import type { FunctionMap, RelationMap, Store } from '../../src/store/store.ts'
import { createSupabaseClient, createSupabaseStore } from '../../src/store/supabase.ts'

const schema = `
create table test_rows (id integer primary key, note text check (note <> 'bad'), role text not null default current_user);
create sequence test_attempts;
grant all on test_rows to service_role;
grant usage on sequence test_attempts to service_role;

create function test_echo(p_value jsonb) returns jsonb language sql as 'select p_value';
create function test_void() returns void language sql as '';
create function test_sleep(p_seconds float8) returns jsonb language sql as $$ select to_jsonb(pg_sleep(p_seconds)::text) $$;
create function test_insert(p_id integer, p_note text default null, p_raise text default null) returns jsonb language plpgsql as $$
begin
  insert into test_rows (id, note) values (p_id, p_note);
  if p_raise is not null then
    raise exception using errcode = p_raise, message = 'as asked', detail = 'the detail', hint = 'the hint';
  end if;
  return jsonb_build_object('id', p_id, 'role', current_user);
end $$;
create function test_batch(p_batch jsonb) returns jsonb language plpgsql as $$
begin
  if p_batch ? 'id' then
    insert into test_rows (id) values ((p_batch ->> 'id')::integer);
  end if;
  if p_batch ? 'raise' then
    raise exception using errcode = p_batch ->> 'raise', message = 'as asked', detail = 'the detail', hint = 'the hint';
  end if;
  return jsonb_build_array(current_user, p_batch);
end $$;
-- A sequence does not roll back, so it counts the attempts that failed.
create function test_attempt(p_code text, p_failures integer) returns jsonb language plpgsql as $$
declare v_attempt bigint := nextval('test_attempts');
begin
  if v_attempt <= p_failures then
    raise exception using errcode = p_code, message = 'not yet';
  end if;
  return to_jsonb(v_attempt);
end $$;`

const functions = {
  test_echo: { args: z.object({ p_value: z.unknown() }), result: z.unknown() },
  test_void: { args: z.object({}), result: z.null() },
  test_sleep: { args: z.object({ p_seconds: z.number() }), result: z.unknown() },
  test_insert: {
    args: z.object({ p_id: z.int(), p_note: z.string().optional(), p_raise: z.string().optional() }),
    result: z.object({ id: z.int(), role: z.string() }),
  },
  test_attempt: { args: z.object({ p_code: z.string(), p_failures: z.int() }), result: z.int() },
  test_absent: { args: z.object({}), result: z.null() },
  schema_version: { args: z.object({}), result: z.int() },
} as const satisfies FunctionMap
const relations = { test_rows: z.object({ id: z.int(), note: z.string().nullable(), role: z.string() }) } as const satisfies RelationMap

/** What every store must do, whatever is behind it. `open` gives a migrated database that the suite may fill, and closes. */
export function testStore(open: () => Promise<Backend>): void {
  let backend: Backend
  let store: Store<typeof functions, typeof relations>

  beforeAll(async () => {
    backend = await open()
    const { kind, url, key, fetch, close } = backend
    store = createSupabaseStore({
      functions,
      relations,
      kind,
      url,
      key,
      schema: backend.schema,
      onClose: close,
      ...(fetch ? { fetch } : {}),
    })
    await backend.query(schema)
  })
  afterAll(() => store?.close())

  /** How a call fails; throws when it does not. */
  async function failure(call: Promise<unknown>): Promise<ActorError> {
    const error = await call.then(
      () => new Error('It did not fail'),
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof ActorError)) throw error
    expect(error.code).toBe('STORE_FAILED')
    return error
  }

  async function restartAttempts(): Promise<void> {
    await backend.query('alter sequence test_attempts restart')
  }

  describe('parallel calls', () => {
    test('neither mix their transactions nor their roles when a third of them raises', async () => {
      const ids = Array.from({ length: 20 }, (_, at) => 1_000 + at)
      const fails = (id: number) => id % 3 === 0
      const results = await Promise.allSettled(
        ids.map((p_id) => store.call('test_insert', { p_id, ...(fails(p_id) ? { p_raise: 'P0001' } : {}) })),
      )
      const kept = ids.filter((id) => !fails(id))
      expect(results.map(({ status }) => status)).toEqual(ids.map((id) => (fails(id) ? 'rejected' : 'fulfilled')))
      expect(await store.read('test_rows', { id: { gte: 1_000 } }, { order: [{ by: 'id' }] })).toEqual(
        kept.map((id) => ({ id, note: null, role: 'service_role' })),
      )
    })
  })

  describe('failures', () => {
    test('are STORE_FAILED with what the database said', async () => {
      const { details, message, cause } = await failure(store.call('test_insert', { p_id: 1, p_raise: 'PT409' }))
      expect({ details, message, cause }).toEqual({
        details: {
          kind: 'conflict',
          store: store.kind,
          code: 'PT409',
          status: 409,
          function: 'test_insert',
          hint: 'the hint',
          detail: 'the detail',
        },
        message: 'test_insert: as asked (PT409)',
        cause: expect.objectContaining({ message: 'as asked' }),
      })
    })

    test.each([
      ['23514', 'data'],
      ['22012', 'data'],
      ['P0001', 'refused'],
      ['PT404', 'refused'],
      ['42501', 'denied'],
      ['0A000', 'refused'],
    ])('keep the code %s on the way and count as %s', async (code, kind) => {
      const { details } = await failure(store.call('test_insert', { p_id: 2, p_raise: code }))
      expect(details).toMatchObject({ code, kind })
    })

    test('of a check, of an unknown function and of wrong arguments change nothing', async () => {
      const failures = [
        await failure(store.call('test_insert', { p_id: 3, p_note: 'bad' })),
        await failure(store.call('test_absent', {})),
        await failure(store.call('test_insert', { p_id: 3.5 })),
        await failure(store.call('test_insert', { p_id: 3, p_note: 'a\u0000b' })),
        await failure(store.call('test_insert', { p_id: 3, p_note: 'a\ud800b' })),
      ]
      expect(failures.map(({ details: { code, kind } }) => ({ code, kind }))).toEqual([
        { code: '23514', kind: 'data' },
        { code: 'PGRST202', kind: 'schema' },
        { code: '', kind: 'data' },
        { code: '22P05', kind: 'data' },
        { code: '22P05', kind: 'data' },
      ])
      expect(await store.read('test_rows', { id: 3 })).toEqual([])
    })

    test('name the answer when it is not the expected one', async () => {
      expect((await failure(store.call('schema_version', {}))).details).toMatchObject({ kind: 'answer', function: 'schema_version' })
    })
  })

  describe('retries', () => {
    test.each(['40001', '40P01', '57P01', '53300'])('repeat a call that failed with %s', async (p_code) => {
      await restartAttempts()
      expect(await store.call('test_attempt', { p_code, p_failures: 2 })).toBe(3)
    })

    test.each(['PT409', '23505', '22P02', 'P0001'])('do not repeat one that failed with %s', async (p_code) => {
      await restartAttempts()
      await failure(store.call('test_attempt', { p_code, p_failures: 1 }))
      expect(await store.call('test_attempt', { p_code, p_failures: 1 })).toBe(2)
    })

    test('end', async () => {
      await restartAttempts()
      expect((await failure(store.call('test_attempt', { p_code: '40001', p_failures: 100 }))).details).toMatchObject({ code: '40001' })
      const [[attempts] = []] = (await backend.query('select last_value from test_attempts')).rows
      expect(attempts).toBe(6)
    })
  })

  describe('limits', () => {
    test('a call ends with its timeout, and the store goes on', async () => {
      const { details } = await failure(store.call('test_sleep', { p_seconds: 1 }, { timeout: 200 }))
      expect(details).toMatchObject({ kind: 'unavailable', function: 'test_sleep' })
      expect(await store.call('test_echo', { p_value: 1 })).toBe(1)
    })

    test('a call ends with the signal of its caller', async () => {
      const { details, cause } = await failure(store.call('test_echo', { p_value: 1 }, { signal: AbortSignal.abort(new Error('enough')) }))
      expect({ kind: details.kind, cause }).toMatchObject({ kind: 'aborted', cause: { message: 'enough' } })
    })

    test('a value of a megabyte goes both ways unchanged', async () => {
      const value = { text: 'ä€𝄞"\\\n'.repeat(100_000), list: [1.5, null, true, { deep: [[]] }] }
      const answer = await store.call('test_echo', { p_value: value })
      expect(isDeepStrictEqual(answer, value)).toBe(true) // no difference of a megabyte in the report
    })

    test.each(['text', '"', '{"a":1}', '', 1.5, true, null, [], ['x']])('a value of JSON arrives as it is: %j', async (value) => {
      expect(await store.call('test_echo', { p_value: value })).toEqual(value)
    })

    test('a text that only looks like an escaped NUL goes through', async () => {
      const value = ['\\u0000', '\\\\u0000', '\\ud800', '𝄞']
      expect(await store.call('test_echo', { p_value: value })).toEqual(value)
    })

    test('a function that answers nothing gives null', async () => {
      expect(await store.call('test_void', {})).toBeNull()
    })
  })

  describe('a function of one batch', () => {
    const client = () => createSupabaseClient({ url: backend.url, key: backend.key, ...(backend.fetch ? { fetch: backend.fetch } : {}) })
    const call = async (args: object, options: { count?: 'exact' } = {}) => {
      const { data, error, status } = await client().rpc('test_batch', args, options)
      return { data, error, status }
    }
    /** It asks for more than the function's answer, so that it goes the way of any request. */
    const callAtLength = (args: object) => call(args, { count: 'exact' })

    test.each(['text', "it's", '\\', '"', '$1', { a: "'" }, [[], {}], 1.5, true, false, null])('gets it as it is: %j', async (p_batch) => {
      const answer = { data: p_batch === null ? ['service_role', null] : ['service_role', p_batch], error: null, status: 200 }
      expect(await call({ p_batch })).toEqual(answer)
      expect(await callAtLength({ p_batch })).toEqual(answer)
    })

    test.each(['P0001', 'PT409', 'PT400', '23505', '23514', '22012', '22P02', '42501', '40001', '40P01', '57P01', '53300', '0A000'])(
      'fails with %s as any request does, and nothing is kept',
      async (code) => {
        const batch = { p_batch: { id: 9, raise: code } }
        const { error, status } = await call(batch)
        expect({ error, status }).toEqual({
          error: expect.objectContaining({ code, message: 'as asked', details: 'the detail', hint: 'the hint' }),
          status: (await callAtLength(batch)).status,
        })
        expect(await store.read('test_rows', { id: 9 })).toEqual([])
      },
    )

    test('says what is wrong with other arguments as any request does', async () => {
      for (const args of [{ p_batch: 1, p_more: 2 }, { p_batches: 1 }, {}]) {
        const { error, status } = await call(args)
        expect({ code: error?.code, status }).toEqual({ code: 'PGRST202', status: 404 })
      }
    })

    test('does not mix its transactions when a third of the calls raises', async () => {
      const ids = Array.from({ length: 20 }, (_, at) => 2_000 + at)
      const fails = (id: number) => id % 3 === 0
      const answers = await Promise.all(ids.map((id) => call({ p_batch: { id, ...(fails(id) && { raise: 'P0001' }) } })))
      expect(answers.map(({ status }) => status)).toEqual(ids.map((id) => (fails(id) ? 400 : 200)))
      const rows = await store.read('test_rows', { id: { gte: 2_000 } }, { order: [{ by: 'id' }] })
      expect(rows.map(({ id }) => id)).toEqual(ids.filter((id) => !fails(id)))
    })

    test('is the new one once it was replaced, also by one that answers a table', async () => {
      const replace = (definition: string) =>
        backend.query(`drop function if exists test_later; create function test_later(p_batch jsonb) ${definition}`)
      const later = async () => (await client().rpc('test_later', { p_batch: [1, 2] })).data
      await replace("returns jsonb language sql as 'select p_batch -> 0'")
      expect(await later()).toBe(1)
      await replace("returns json language sql as 'select (p_batch -> 1)::json'")
      expect(await later()).toBe(2)
      await replace("returns table (one jsonb) language sql as 'select jsonb_array_elements(p_batch)'")
      expect(await later()).toEqual([{ one: 1 }, { one: 2 }])
    })
  })

  test('strings go into a JSON column as they do on Supabase', async () => {
    const client = createSupabaseClient({ url: backend.url, key: backend.key, ...(backend.fetch ? { fetch: backend.fetch } : {}) })
    const values = ['normal', '5', '"', '{"a":1}', 5, { a: 'x' }, ['a'], true]
    const written = []
    for (const value of values) {
      const inserted = await client.from('system_config').upsert({ key: 'test', value }).select('value').single()
      const updated = await client.from('system_config').update({ value }).eq('key', 'test').select('value').single()
      written.push([inserted.data?.value, updated.data?.value])
    }
    expect(written).toEqual(values.map((value) => [value, value]))
  })

  test('reads by conditions, in order, a few', async () => {
    const notes = [null, 'a,b', 'c"d', '(e)', 'f\\g']
    for (const [at, p_note] of notes.entries()) await store.call('test_insert', { p_id: 100 + at, ...(p_note === null ? {} : { p_note }) })
    const ids = async (...args: Parameters<typeof store.read<'test_rows'>> extends [unknown, ...infer Rest] ? Rest : never) =>
      (await store.read('test_rows', ...args)).map(({ id }) => id)
    const few = { id: { gte: 100, lt: 200 } } as const
    expect({
      none: await ids({ ...few, note: null }),
      some: await ids({ ...few, note: { neq: null } }, { order: [{ by: 'id', descending: true }], limit: 2 }),
      exact: await ids({ ...few, note: 'a,b' }),
      listed: await ids({ ...few, note: { in: ['c"d', '(e)', 'f\\g'] } }, { order: [{ by: 'id' }] }),
    }).toEqual({ none: [100], some: [104, 103], exact: [101], listed: [102, 103, 104] })
  })

  test('is healthy, and knows its schema', async () => {
    expect(await store.health()).toEqual({ status: 'ok', schema: backend.schema, latency: expect.any(Number) })
  })

  test('plain SQL leaves nothing behind in the session', async () => {
    await backend.query('set role service_role')
    await backend.query('begin; insert into test_rows values (5)').catch(() => {}) // a server forgets it, PGlite says so too
    const answer = await backend.query("select current_user <> 'service_role' as own, 9007199254740993 as big, '\\x01ff'::bytea as bytes; ")
    expect(answer).toEqual({ columns: ['own', 'big', 'bytes'], rows: [[true, '9007199254740993', '\\x01ff']] })
    expect(await store.read('test_rows', { id: 5 })).toEqual([])
  })

  test('closes twice, and refuses calls from then on', async () => {
    await store.close()
    await store.close()
    expect((await failure(store.call('test_void', {}))).details).toMatchObject({ kind: 'aborted' })
  })
}
