import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { startHolder } from './holder.ts'
import {
  change,
  claim,
  claimOne,
  createJobs,
  createMany,
  finish,
  type Job,
  jobRow,
  jobRows,
  moveClock,
  openWorkers,
  tally,
} from './job-queue.ts'

let db: Database
let sql: Client
let workers: Client[]
beforeAll(async () => {
  db = await freshDatabase({ max: 1 })
  sql = db.sql
  workers = await openWorkers(db)
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  await moveClock(sql, '0')
  await sql`truncate public.agent_jobs, public.agent_claims, public.agent_leases, public.agent_status cascade`
})

test('case 31: a job that always fails is tried max_attempts times, further and further apart, and ends dead with its history', async () => {
  const [id = ''] = await createMany(sql, 1, { max_attempts: 5, backoff_ms: 10_000, backoff_max_ms: 60_000 })
  const waits: number[] = []
  let clock = 0
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    const job = await claimOne(sql)
    expect(job.attempt).toBe(attempt)
    expect(await finish(sql, [job], { outcome: 'failed', error: `no ${attempt}` })).toEqual(['ok'])
    expect((await claim(sql)).jobs).toEqual([])
    const { run_at, history } = await jobRow(sql, id)
    if (attempt < 5) waits.push(Date.parse(run_at) - Date.parse(history.at(-1)?.at ?? ''))
    clock += 75
    await moveClock(sql, `${clock} seconds`)
  }
  const expected = [10_000, 20_000, 40_000, 60_000]
  expect(waits.map((wait, i) => Math.abs(wait / (expected[i] ?? 0) - 1) <= 0.2001)).toEqual([true, true, true, true])
  expect(await jobRow(sql, id)).toMatchObject({
    status: 'failed',
    dead_reason: 'attempts_exhausted',
    error_message: 'no 5',
    attempt: 5,
    history: [1, 2, 3, 4, 5].map((attempt) => ({ attempt, outcome: 'failed', agent: 'a', error: `no ${attempt}` })),
  })
})

test('case 31: retries of a herd spread over their whole window', async () => {
  await createMany(sql, 200, { backoff_ms: 100_000 })
  const { jobs } = await claim(sql, { limit: 200 })
  await finish(sql, jobs, { outcome: 'failed' })
  const waits = (await jobRows(sql)).map(({ run_at, history }) => (Date.parse(run_at) - Date.parse(history[0]?.at ?? '')) / 1000)
  expect([Math.min(...waits) >= 79.9, Math.max(...waits) <= 120.1]).toEqual([true, true])
  for (const from of [80, 90, 100, 110]) expect(waits.filter((wait) => wait >= from && wait < from + 10).length).toBeGreaterThan(20)
})

test('case 31: the history keeps the last ten endings', async () => {
  const [id = ''] = await createMany(sql, 1, { max_attempts: 13 })
  for (let i = 1; i <= 13; i += 1)
    await finish(sql, [await claimOne(sql)], { outcome: 'failed', error: 'x'.repeat(20_000), retry_in_ms: 0 })
  const { history, error_message } = await jobRow(sql, id)
  expect(history.map(({ attempt, error }) => [attempt, error?.length])).toEqual(Array.from({ length: 10 }, (_, i) => [i + 4, 500]))
  expect(error_message).toHaveLength(10_000)
})

test('case 32: a job that kills its process every time is dead after its attempts; the others are done meanwhile', async () => {
  const [poison = ''] = await createMany(sql, 1, { priority: 1, max_attempts: 3 })
  const good = await createMany(sql, 3)
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await using holder = startHolder(db.url)
    await holder.run("select set_config('troupe.clock_offset', $1, false)", [`${61 * (attempt - 1)} seconds`])
    expect(await holder.claim()).toMatchObject([{ job_id: poison, attempt }])
    await holder.signal('SIGKILL')
    expect(await finish(sql, [await claimOne(sql)])).toEqual(['ok'])
  }
  await moveClock(sql, '200 seconds')
  expect((await claim(sql, { limit: 10 })).jobs).toEqual([])
  const rows = await jobRows(sql)
  expect(rows.map(({ id, status }) => [id, status])).toEqual([[poison, 'failed'], ...good.map((id) => [id, 'completed'])])
  expect(rows[0]).toMatchObject({
    dead_reason: 'lease_expired',
    history: [1, 2, 3].map((attempt) => ({ attempt, outcome: 'lease_expired', agent: 'holder' })),
  })
})

test('case 33: an error that is not retryable ends the job at its first attempt', async () => {
  const [id = ''] = await createMany(sql, 1)
  await finish(sql, [await claimOne(sql)], { outcome: 'failed', error: 'bad address', retryable: false, retry_in_ms: 0 })
  expect((await claim(sql)).jobs).toEqual([])
  expect(await jobRow(sql, id)).toMatchObject({ status: 'failed', dead_reason: 'fatal', attempt: 1, error_message: 'bad address' })
})

test('case 34: jobs released at shutdown are available at once or after their delay, with every attempt left', async () => {
  await createMany(sql, 3, { max_attempts: 1 })
  const { jobs } = await claim(sql, { limit: 3 })
  await finish(sql, jobs.slice(0, 2), { outcome: 'released' })
  await finish(sql, jobs.slice(2), { outcome: 'released', retry_in_ms: 30_000 })
  const now = await claim(sql, { agent_id: 'b', limit: 3 })
  await moveClock(sql, '30 seconds')
  const later = await claim(sql, { agent_id: 'b', limit: 3 })
  expect([now, later].map((answer) => answer.jobs.map(({ attempt, lease_token }) => [attempt, lease_token]))).toEqual([
    [
      [1, 2],
      [1, 2],
    ],
    [[1, 2]],
  ])
  expect((await jobRows(sql)).map(({ history }) => history)).toEqual([[], [], []])
})

test('case 35: a dead or cancelled job is redriven with fresh attempts and its history; one that lives or is done is not', async () => {
  const [dead = '', cancelled = '', done = '', live = ''] = await createMany(sql, 4, { max_attempts: 1 })
  const { jobs } = await claim(sql, { limit: 3 })
  const [first, , third] = jobs as [Job, Job, Job]
  await finish(sql, [first], { outcome: 'failed', error: 'no' })
  await change(sql, 'cancel_jobs', [cancelled])
  await finish(sql, [third])
  expect(await change(sql, 'redrive_jobs', [dead, cancelled, done, live])).toEqual(['ok', 'ok', 'stale', 'stale'])
  expect(await jobRow(sql, dead)).toMatchObject({
    status: 'pending',
    attempt: 0,
    dead_reason: null,
    history: [{ outcome: 'failed', error: 'no' }, { outcome: 'redriven' }],
  })
  const again = (await claim(sql, { limit: 10 })).jobs
  expect(again.map(({ job_id }) => job_id).sort()).toEqual([dead, cancelled, live].sort())
  expect(tally(await finish(sql, again))).toEqual({ ok: 3 })
})

test('case 35: a redriven job whose key a live job has by now is a duplicate, and the rest of the batch stands', async () => {
  const [{ job_id: old } = { job_id: '' }, { job_id: other } = { job_id: '' }] = await createJobs(sql, [{ dedupe_key: 'k' }, {}])
  await change(sql, 'cancel_jobs', [old, other])
  await createJobs(sql, [{ dedupe_key: 'k' }])
  expect(await change(sql, 'redrive_jobs', [old, other])).toEqual(['duplicate', 'ok'])
  expect((await jobRows(sql)).map(({ status }) => status)).toEqual(['cancelled', 'pending', 'pending'])
})

test('case 36: retries, releases and new jobs of twelve keys collide in eight clients without an error or a second live job', async () => {
  const created: string[] = []
  let ended = 0
  const turn = async (worker: Client, i: number) => {
    for (let round = 0; round < 25; round += 1) {
      const answers = await createJobs(
        worker,
        Array.from({ length: 12 }, (_, k) => ({ dedupe_key: `k${k}`, backoff_ms: 0, max_attempts: 100 })),
      )
      created.push(...answers.filter(({ verdict }) => verdict === 'ok').map(({ job_id }) => job_id))
      const { jobs } = await claim(worker, { agent_id: `w${i}`, limit: 6 })
      const outcome = (['completed', 'failed', 'released'] as const)[(round + i) % 3] ?? 'completed'
      const verdicts = await finish(worker, jobs, { outcome })
      expect(tally(verdicts)).toEqual(jobs.length ? { ok: jobs.length } : {})
      if (outcome === 'completed') ended += jobs.length
    }
  }
  await Promise.all(workers.map(turn))
  const rows = await jobRows(sql)
  const live = rows.filter(({ status }) => status === 'pending')
  expect({ created: new Set(created).size, completed: tally(rows.map(({ status }) => status)).completed, live: live.length }).toEqual({
    created: rows.length,
    completed: ended,
    live: rows.length - ended,
  })
  expect(live.length).toBeLessThanOrEqual(12)
})

test('case 37: a hundred parallel enqueues of one key make one job, and all get its id', async () => {
  const client = db.connect({ role: 'service_role', max: 10 })
  const answers = (await Promise.all(Array.from({ length: 100 }, () => createJobs(client, [{ dedupe_key: 'k' }])))).flat()
  const rows = await jobRows(sql)
  expect(rows).toHaveLength(1)
  expect(tally(answers.map(({ job_id, verdict }) => `${verdict} ${job_id}`))).toEqual({
    [`ok ${rows[0]?.id}`]: 1,
    [`duplicate ${rows[0]?.id}`]: 99,
  })
})

test('case 37: a key is one per job type, and twice in a batch it is one job too', async () => {
  const answers = await createJobs(sql, [{ dedupe_key: 'k' }, { dedupe_key: 'k' }, { job_type: 'toil', dedupe_key: 'k' }])
  expect(answers.map(({ verdict }) => verdict)).toEqual(['ok', 'duplicate', 'ok'])
  expect(answers[1]?.job_id).toBe(answers[0]?.job_id)
})

test('case 38: a key is free again once its job is completed, dead or cancelled, not while it waits for a retry', async () => {
  const create = async () => (await createJobs(sql, [{ dedupe_key: 'k' }]))[0]?.verdict
  const seen = [await create(), await create()]
  await finish(sql, [await claimOne(sql)], { outcome: 'failed', retry_in_ms: 60_000 })
  seen.push(await create())
  await moveClock(sql, '61 seconds')
  await finish(sql, [await claimOne(sql)])
  seen.push(await create())
  await finish(sql, [await claimOne(sql)], { outcome: 'failed', retryable: false })
  seen.push(await create())
  await change(sql, 'cancel_jobs', [(await jobRows(sql)).at(-1)?.id ?? ''])
  seen.push(await create())
  expect(seen).toEqual(['ok', 'duplicate', 'duplicate', 'ok', 'ok', 'ok'])
})

test('case 38: creations that race with the key’s completion are always answered with a job', async () => {
  const answers: Array<{ job_id: string | null; verdict: string }> = []
  const ends: string[] = []
  await Promise.all(
    workers.map(async (worker, i) => {
      for (let round = 0; round < 150; round += 1) {
        if (i < 4) answers.push(...(await createJobs(worker, [{ dedupe_key: 'k' }])))
        else ends.push(...(await finish(worker, (await claim(worker)).jobs)))
      }
    }),
  )
  const completed = ends.length
  const { ok = 0, duplicate = 0 } = tally(answers.map(({ verdict }) => verdict))
  expect([ok + duplicate, answers.filter(({ job_id }) => job_id === null)]).toEqual([600, []])
  expect(tally((await jobRows(sql)).map(({ status }) => status))).toEqual({
    ...(completed && { completed }),
    ...(ok > completed && { pending: ok - completed }),
  })
})
