import { afterAll, beforeAll, expect, test } from 'vitest'
import { jobFunctions } from '../../src/store/functions/jobs.ts'
import type { Store } from '../../src/store/store.ts'
import { storeError } from '../../src/store/store-error.ts'
import type { FakeContext } from './fake-child.ts'
import { faultyStore } from './faulty-store.ts'
import { openTestStore, startNode } from './path.ts'

let opened: Awaited<ReturnType<typeof openTestStore>>
beforeAll(async () => {
  opened = await openTestStore()
})
afterAll(() => opened?.[Symbol.asyncDispose]())

/** A row as somebody with a SQL prompt may leave it. */
const insert = (to: string, columns: string, values: string) =>
  opened.backend.query(`insert into agent_messages (message_type, from_agent, to_agent, subject, ${columns})
    values ('command', 'someone', '${to}', 'note', ${values})`)

test.each([
  ['a body larger than Troupe would write', 'payload', `jsonb_build_object('text', repeat('x', 1200000))`],
  ['a body that is not JSON', 'body', `'{"n": 1'`],
  ['a time without end', 'created_at', `'infinity'`],
  ['an end that never comes', 'expires_at', `'infinity'`],
  ['nothing but a type', 'payload', 'null'],
  ['a number that is too large for JavaScript', 'payload', `'{"n": 1e400}'`],
  ['an id of no version of UUIDs', 'id', `'11111111-1111-1111-1111-111111111111'`],
  ['an answer to such an id', 'correlation_id', `md5('x')::uuid`],
])('a row with %s holds up neither its receiver nor anybody else', async (_, column, value) => {
  const to = `odd-${column}-${value.length}`
  await insert(to, column, value)
  await using node = startNode(opened.store, to)
  const got: string[] = []
  const note = (body: unknown) => void got.push(typeof body)
  await node.start('neighbour', { receive: { hi: () => 'hello' } })
  await node.start(to, { receive: { note, hi: () => got.length } }, { maxAttempts: 1 })
  const ended = await Promise.race([node.next('turn:committed', ({ id, type }) => id === to && type === 'note'), node.next('message:dead')])
  expect([ended.id, await node.ask('neighbour', 'hi'), (await node.ask(to, 'hi')).ok]).toEqual([to, { ok: true, value: '"hello"' }, true])
})

test('a job with a number that is too large for JavaScript is claimed like any other', async () => {
  await using node = startNode(opened.store, 'n3')
  await opened.store.call('create_jobs', { p_batch: ['odd-job', 'plain-job'].map((job_type) => ({ job_type })) })
  await opened.backend.query(`update agent_jobs set payload = '{"n": 1e400}' where job_type = 'odd-job'`)
  const done = ['odd-job', 'plain-job'].map((job) => node.next('turn:committed', ({ type }) => type === job))
  await node.start('taker', { run: { 'odd-job': () => {}, 'plain-job': () => {} } })
  await Promise.all(done)
  // The embedded database makes null of it, a hosted one does not.
  const job = '{"job_id":"0b6f2f5e-3f5a-4e0b-9d4e-0123456789ab","job_type":"odd-job","payload":{"n":1e400},"priority":5,"attempt":1'
  const rest = '"max_attempts":3,"lease_token":1,"created_by":null,"created_at":"2026-11-29T00:00:00Z","timeout_ms":null}'
  const answer = JSON.parse(`[{"agent_id":"taker","verdict":"ok","jobs":[${job},${rest}]}]`)
  expect(jobFunctions.claim_jobs.result.safeParse(answer).success).toBe(true)
})

test('who reads what cannot be read is told at once', async () => {
  const store: Store = {
    ...opened.store,
    read: (relation) => Promise.reject(storeError('not what was expected, as asked', { kind: 'answer', code: '', function: relation })),
  }
  await using node = startNode(store, 'n5')
  const look = (_: unknown, { read }: FakeContext) => read('v_agent_dashboard')
  await node.start('reader', { receive: { look } }, { maxAttempts: 1 }, ['v_agent_dashboard'])
  expect(await node.ask('reader', 'look')).toMatchObject({ ok: false, error: { code: 'HANDLER_FAILED', cause: { code: 'STORE_FAILED' } } })
})

test('an answer that cannot be read is about the agent whose mail is in it, and nothing of the others is lost', async () => {
  const store: Store = {
    ...opened.store,
    async call(name, args, options) {
      const answer = await opened.store.call(name, args, options)
      if (name === 'commit_turns' && /"refills":.*"agent_id":"odd-one"/.test(JSON.stringify(args)))
        throw storeError('not what was expected, as asked', { kind: 'answer', code: '', function: name })
      return answer
    },
  }
  await using node = startNode(store, 'n4')
  await node.start('odd-one', { receive: { note: () => {} } })
  await node.start('counter', {
    init: () => ({ state: 0 }),
    receive: { add: (_: unknown, ctx) => (ctx.state = (ctx.state as number) + 1) },
  })
  for (const sum of [1, 2, 3]) expect(await node.ask('counter', 'add')).toEqual({ ok: true, value: String(sum) })
  expect([node.runners.get('counter')?.incarnations, node.log.some(({ name }) => name === 'store:failed')]).toEqual([1, false])
})

test.each([
  ['an id of no version of UUIDs', 'md5', `md5('job')::uuid, '1'`, '1'],
  [
    'an input nested too deep for a schema',
    'deep',
    `gen_random_uuid(), (repeat('[', 2000) || repeat(']', 2000))::jsonb`,
    /^\[{2000}]{2000}$/,
  ],
])('a job with %s is handled, and holds up no other', async (_, type, values, input) => {
  for (const row of [`'odd-${type}', ${values}`, `'even-${type}', gen_random_uuid(), '2'`])
    await opened.backend.query(`insert into agent_jobs (job_type, id, payload) values (${row})`)
  await using node = startNode(opened.store, type)
  const got: string[] = []
  const take = (payload: unknown) => void got.push(JSON.stringify(payload))
  await node.start(`worker-${type}`, { run: { [`odd-${type}`]: take, [`even-${type}`]: take } })
  const ends = ['odd', 'even'].map((kind) => node.next('turn:committed', (event) => event.type === `${kind}-${type}`))
  await Promise.all(ends)
  expect(got.sort()).toEqual(['2', typeof input === 'string' ? input : expect.stringMatching(input)].sort())
})

test('a job whose input nobody can write down fails alone', async () => {
  for (const row of [`'odd-steep', (repeat('[', 5500) || repeat(']', 5500))::jsonb`, `'even-steep', '2'`])
    await opened.backend.query(`insert into agent_jobs (job_type, payload, max_attempts) values (${row}, 1)`)
  await using node = startNode(opened.store, 'steep')
  const take = () => {}
  await node.start('worker-steep', { run: { 'odd-steep': take, 'even-steep': take } })
  await Promise.all([
    node.next('turn:failed', ({ type }) => type === 'odd-steep'),
    node.next('turn:committed', ({ type }) => type === 'even-steep'),
  ])
})

test('an agent whose mail the database cannot give holds up nobody else', async () => {
  const broken = faultyStore(opened.store, () => 'none')
  const store = {
    ...broken,
    call: (async (name, args, options) => {
      const refills = (args as { p_batch: { refills?: readonly { agent_id: string }[] } }).p_batch.refills ?? []
      if (name === 'commit_turns' && refills.some(({ agent_id }) => agent_id === 'sick'))
        await broken.call('record_performance', { p_period: 'never' } as never)
      return broken.call(name, args, options)
    }) as typeof broken.call,
  }
  await insert('sound', 'content', `'for the sound one'`)
  await using node = startNode(store, 'n2')
  await node.start('sick', { receive: { note: () => {} } })
  await node.start('sound', { receive: { note: () => {} } })
  expect(await node.next('turn:committed')).toMatchObject({ id: 'sound', type: 'note' })
})
