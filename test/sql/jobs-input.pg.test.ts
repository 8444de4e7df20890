import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { claim, claimOne, createJobs, createMany, finish, type Job, jobRows } from './job-queue.ts'
import { call, failure, rpc } from './rest.ts'

let db: Database
let sql: Client
let job: Job
beforeAll(async () => {
  db = await freshDatabase({ max: 1 })
  sql = db.connect({ role: 'service_role', max: 1 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  await db.sql`truncate public.agent_jobs, public.agent_claims, public.agent_status cascade`
  await createMany(sql, 2)
  job = await claimOne(sql)
})

/** How a call is refused; every table of the queue must be as it was. */
async function refusal(work: () => Promise<unknown>): Promise<string> {
  const everything = async () => [
    await jobRows(sql),
    await sql`select * from public.agent_claims`,
    await sql`select * from public.agent_status`,
  ]
  const before = await everything()
  const refused = await failure(work())
  expect(await everything()).toEqual(before)
  return refused ? `${refused.code} ${refused.message}` : 'accepted'
}

const refusals = async (calls: Record<string, () => Promise<unknown>>) => {
  const seen: Record<string, string> = {}
  for (const [name, work] of Object.entries(calls)) seen[name] = await refusal(work)
  return seen
}

test('create_jobs refuses what no job may be, the good elements of the batch with it', async () => {
  const create = (bad: Record<string, unknown>) => () => call(sql, 'create_jobs', [{ job_type: 'work' }, { job_type: 'work', ...bad }])
  const check = (name: string) =>
    expect.stringContaining(`23514 new row for relation "agent_jobs" violates check constraint "agent_jobs_${name}"`)
  expect(
    await refusals({
      'empty type': create({ job_type: '' }),
      'no type': create({ job_type: null }),
      'long type': create({ job_type: 'x'.repeat(201) }),
      'priority 0': create({ priority: 0 }),
      'priority 11': create({ priority: 11 }),
      'priority word': create({ priority: 'high' }),
      'negative delay': create({ delay_ms: -1 }),
      'negative backoff': create({ backoff_ms: -1 }),
      'no attempts': create({ max_attempts: 0 }),
      'many attempts': create({ max_attempts: 101 }),
      'timeout 0': create({ timeout_ms: 0 }),
      'id no uuid': create({ id: 'one' }),
      '10 MB': create({ payload: { text: 'x'.repeat(10_000_000) } }),
      NUL: create({ payload: { text: 'a\u0000b' } }),
      surrogate: create({ payload: { text: 'a\udc00b' } }),
      'no batch': () => call(sql, 'create_jobs', { job_type: 'work' }),
    }),
  ).toEqual({
    'empty type': check('job_type_length'),
    'no type': expect.stringContaining('23502 null value in column "job_type"'),
    'long type': check('job_type_length'),
    'priority 0': check('priority_range'),
    'priority 11': check('priority_range'),
    'priority word': '22P02 invalid input syntax for type integer: "high"',
    'negative delay': 'PT400 create_jobs: delay_ms is negative',
    'negative backoff': check('backoff_range'),
    'no attempts': check('max_attempts_range'),
    'many attempts': check('max_attempts_range'),
    'timeout 0': check('timeout_range'),
    'id no uuid': '22P02 invalid input syntax for type uuid: "one"',
    '10 MB': check('payload_size'),
    NUL: '22P05 unsupported Unicode escape sequence',
    surrogate: '22P02 invalid input syntax for type json',
    'no batch': '22023 cannot extract elements from an object',
  })
})

test('claim_jobs refuses a request without an agent or outside its limits', async () => {
  const request = (bad: Record<string, unknown>) => () =>
    call(sql, 'claim_jobs', [
      { agent_id: 'a', limit: 1 },
      { agent_id: 'a', ...bad },
    ])
  expect(
    await refusals({
      'no agent': request({ agent_id: null }),
      'empty agent': request({ agent_id: '' }),
      'limit 0': request({ limit: 0 }),
      'limit 501': request({ limit: 501 }),
      'lease 99': request({ lease_ms: 99 }),
      'lease of days': request({ lease_ms: 86_400_001 }),
      'claim id': request({ claim_id: 'one' }),
    }),
  ).toEqual({
    'no agent': 'PT400 claim_jobs: agent_id is missing',
    'empty agent': 'PT400 claim_jobs: agent_id is missing',
    'limit 0': 'PT400 claim_jobs: limit is 0',
    'limit 501': 'PT400 claim_jobs: limit is 501',
    'lease 99': 'PT400 claim_jobs: lease_ms is 99',
    'lease of days': 'PT400 claim_jobs: lease_ms is 86400001',
    'claim id': '22P02 invalid input syntax for type uuid: "one"',
  })
})

test('finish_jobs refuses an ending that it does not know or that names no token, the good ones of the batch with it', async () => {
  const { job_id, lease_token } = job
  const ending = (bad: Record<string, unknown>) => () =>
    call(sql, 'finish_jobs', [
      { job_id, lease_token, outcome: 'completed' },
      { job_id, lease_token, outcome: 'failed', ...bad },
    ])
  expect(
    await refusals({
      outcome: ending({ outcome: 'done' }),
      'no outcome': ending({ outcome: null }),
      'no token': ending({ lease_token: null }),
      'no job': ending({ job_id: null }),
      'job no uuid': ending({ job_id: 'one' }),
      'token word': ending({ lease_token: 'one' }),
      'negative delay': ending({ retry_in_ms: -1 }),
    }),
  ).toEqual({
    outcome: expect.stringMatching(/^PT400 finish_jobs: .*"outcome": "done"/),
    'no outcome': expect.stringMatching(/^PT400 finish_jobs: /),
    'no token': expect.stringMatching(/^PT400 finish_jobs: .*"lease_token": null/),
    'no job': expect.stringMatching(/^PT400 finish_jobs: /),
    'job no uuid': '22P02 invalid input syntax for type uuid: "one"',
    'token word': '22P02 invalid input syntax for type bigint: "one"',
    'negative delay': expect.stringMatching(/^PT400 finish_jobs: .*"retry_in_ms": -1/),
  })
})

test('renew_jobs, cancel_jobs, redrive_jobs and the original functions refuse what they cannot read', async () => {
  const { job_id, lease_token } = job
  const renewal = (bad: Record<string, unknown>) => () =>
    call(sql, 'renew_jobs', [
      { job_id, lease_token },
      { job_id, lease_token, ...bad },
    ])
  expect(
    await refusals({
      'no token': renewal({ lease_token: null }),
      'no job': renewal({ job_id: null }),
      'lease 0': renewal({ lease_ms: 0 }),
      'lease of days': renewal({ lease_ms: 86_400_001 }),
      cancel: () => call(sql, 'cancel_jobs', [{ job_id: 'one' }]),
      redrive: () => call(sql, 'redrive_jobs', [{ job_id: 'one' }]),
      'no agent': () => rpc(sql, 'claim_next_job', { agent_id: null }),
      'no success': () => rpc(sql, 'complete_job', { p_job_id: job_id, p_success: null, p_result: null, p_error: null }),
      'no heart': () => rpc(sql, 'update_agent_heartbeat', { p_agent_id: null, p_status: 'idle', p_current_job: null }),
    }),
  ).toEqual({
    'no token': expect.stringMatching(/^PT400 renew_jobs: /),
    'no job': expect.stringMatching(/^PT400 renew_jobs: /),
    'lease 0': expect.stringMatching(/^PT400 renew_jobs: .*"lease_ms": 0/),
    'lease of days': expect.stringMatching(/^PT400 renew_jobs: /),
    cancel: '22P02 invalid input syntax for type uuid: "one"',
    redrive: '22P02 invalid input syntax for type uuid: "one"',
    'no agent': 'PT400 claim_next_job: agent_id is missing',
    'no success': 'PT400 complete_job: p_success is missing',
    'no heart': expect.stringContaining('23502 null value in column "agent_id"'),
  })
})

test('a wrong token is no error but a verdict, and an empty batch is an empty answer', async () => {
  expect(await finish(sql, [{ ...job, lease_token: 99 }])).toEqual(['stale'])
  for (const name of ['create_jobs', 'claim_jobs', 'finish_jobs', 'renew_jobs', 'cancel_jobs', 'redrive_jobs'])
    expect([name, await call(sql, name, [])]).toEqual([name, []])
})

test('whatever JSON can say arrives as it was: a payload of 1 MB, any characters, null and deep nesting', async () => {
  await db.sql`truncate public.agent_jobs cascade`
  const deep = JSON.parse(`${'['.repeat(500)}1${']'.repeat(500)}`)
  const payloads = [
    { text: 'ü😀'.repeat(170_000) },
    { '': '"\\\n\u0001\u2028', ключ: [0.1, 1e300, -0.5, true] },
    null,
    [],
    'text',
    { deep },
  ]
  await createJobs(
    sql,
    payloads.map((payload) => ({ payload })),
  )
  expect((await claim(sql, { limit: 10 })).jobs.map(({ payload }) => payload)).toEqual(payloads)
})

test('a job whose attempts are used up cannot be made pending by hand, where it would fail every claim', async () => {
  const id = randomUUID()
  await createJobs(sql, [{ id, max_attempts: 3 }])
  expect((await failure(sql`update public.agent_jobs set attempt = 3 where id = ${id}`))?.code).toBe('23514')
})
