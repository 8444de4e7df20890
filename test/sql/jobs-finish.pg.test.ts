import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import {
  type Answer,
  change,
  claim,
  claimOne,
  createJobs,
  createMany,
  type Ending,
  finish,
  type Job,
  jobRow,
  jobRows,
  moveClock,
  openWorkers,
  renew,
  tally,
} from './job-queue.ts'
import { persist } from './persist.ts'
import { call, failure, rpc } from './rest.ts'

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
  await counts()
  await sql`update public.agent_status set jobs_completed = 0, jobs_failed = 0`
})

/** What the agents' rows say at the latest after their next heartbeats. */
async function counts() {
  for (const p_agent_id of ['a', 'b']) await rpc(sql, 'update_agent_heartbeat', { p_agent_id })
  return await sql`select agent_id, jobs_completed, jobs_failed from public.agent_status order by agent_id`
}

test('case 23: a completion made twice is done once: the second is a repeat and changes nothing', async () => {
  const [id = ''] = await createMany(sql, 1)
  const job = await claimOne(sql)
  expect(await finish(sql, [job], { outcome: 'completed', result: { n: 1 } })).toEqual(['ok'])
  const row = await jobRow(sql, id)
  expect(await finish(sql, [job], { outcome: 'completed', result: { n: 2 } })).toEqual(['repeat'])
  expect([await jobRow(sql, id), await counts()]).toEqual([
    row,
    [
      { agent_id: 'a', jobs_completed: 1, jobs_failed: 0 },
      { agent_id: 'b', jobs_completed: 0, jobs_failed: 0 },
    ],
  ])
  expect(row).toMatchObject({ status: 'completed', result: { n: 1 }, assigned_to: 'a', lease_expires_at: null, error_message: null })
})

test('case 24: a job that does not exist is not found by any change, and one that waits is not the caller’s', async () => {
  const unknown = { job_id: randomUUID(), lease_token: 1 }
  const [id = ''] = await createMany(sql, 1)
  const row = await jobRow(sql, id)
  expect([
    ...(await finish(sql, [unknown, { job_id: id, lease_token: 0 }])),
    ...(await renew(sql, [unknown, { job_id: id, lease_token: 0 }])),
    ...(await change(sql, 'cancel_jobs', [unknown.job_id])),
    ...(await change(sql, 'redrive_jobs', [unknown.job_id, id])),
  ]).toEqual(['not_found', 'stale', 'not_found', 'stale', 'not_found', 'not_found', 'stale'])
  expect(await jobRow(sql, id)).toEqual(row)
})

const endings: Record<string, Ending> = {
  completed: { outcome: 'completed' },
  failed: { outcome: 'failed', error: 'no' },
  fatal: { outcome: 'failed', error: 'never', retryable: false },
  released: { outcome: 'released' },
}

test('case 25: a token ends its job in one way: the same again is a repeat, another way is stale, whatever came first', async () => {
  const seen: Record<string, string[]> = {}
  for (const [first, ending] of Object.entries(endings)) {
    await createMany(sql, 1)
    const job = await claimOne(sql)
    const verdicts = await finish(sql, [job], ending)
    const row = await jobRow(sql, job.job_id)
    for (const outcome of ['completed', 'failed', 'released'] as const) verdicts.push(...(await finish(sql, [job], { outcome })))
    verdicts.push(...(await renew(sql, [job])))
    seen[first] = verdicts
    expect(await jobRow(sql, job.job_id)).toEqual(row)
    await change(sql, 'cancel_jobs', [job.job_id])
  }
  expect(seen).toEqual({
    completed: ['ok', 'repeat', 'stale', 'stale', 'stale'],
    failed: ['ok', 'stale', 'repeat', 'stale', 'stale'],
    fatal: ['ok', 'stale', 'repeat', 'stale', 'stale'],
    released: ['ok', 'stale', 'stale', 'repeat', 'stale'],
  })
})

test('case 25: a failure is known also when the job has been claimed again, failed again or been done since; a release is not', async () => {
  const [id = ''] = await createMany(sql, 1)
  const failed = { outcome: 'failed', retry_in_ms: 0 } as const
  const [first, released] = [await claimOne(sql), { outcome: 'released' } as const]
  const verdicts = await finish(sql, [first], failed)
  const second = await claimOne(sql)
  verdicts.push(...(await finish(sql, [first], failed)), ...(await finish(sql, [first])), ...(await finish(sql, [second], released)))
  const third = await claimOne(sql)
  verdicts.push(...(await finish(sql, [second], released)), ...(await finish(sql, [second], failed)), ...(await finish(sql, [third])))
  const row = await jobRow(sql, id)
  verdicts.push(...(await finish(sql, [first], failed)), ...(await finish(sql, [third], failed)))
  expect(verdicts).toEqual(['ok', 'repeat', 'stale', 'ok', 'stale', 'stale', 'ok', 'repeat', 'stale'])
  expect([await jobRow(sql, id), row.status]).toEqual([row, 'completed'])
})

test('case 25: a release after an earlier failure of the same attempt number is not mistaken for that failure', async () => {
  await createMany(sql, 1)
  await finish(sql, [await claimOne(sql)], { outcome: 'failed', retry_in_ms: 0 })
  const job = await claimOne(sql)
  expect([...(await finish(sql, [job], { outcome: 'released' })), ...(await finish(sql, [job], { outcome: 'failed' }))]).toEqual([
    'ok',
    'stale',
  ])
})

test('case 26: eight clients finish the same shuffled batches: each job once, with a verdict for each of its rows', async () => {
  const ids = await createMany(sql, 64)
  const { jobs } = await claim(sql, { limit: 64 })
  const stale = jobs.slice(0, 8).map((job) => ({ ...job, lease_token: job.lease_token + 1 }))
  const collisions: string[] = []
  const verdicts = await Promise.all(
    workers.map(async (worker, i) => {
      const turned = [...jobs.slice(8 * i), ...jobs.slice(0, 8 * i)]
      const batch = [...(i % 2 ? turned : turned.toReversed()), ...stale, { job_id: randomUUID(), lease_token: 1 }]
      return await persist(
        () => finish(worker, batch),
        (code) => collisions.push(code),
      )
    }),
  )
  expect(collisions).toEqual([]) // whatever the order of a batch, its locks have one order
  expect(tally(verdicts.flatMap((batch) => batch.slice(0, 64)))).toEqual({ ok: 64, repeat: 7 * 64 })
  expect(tally(verdicts.flatMap((batch) => batch.slice(64)))).toEqual({ stale: 64, not_found: 8 })
  expect(tally((await jobRows(sql)).map(({ status, attempt }) => `${status} ${attempt}`))).toEqual({ 'completed 1': ids.length })
  expect((await counts())[0]).toEqual({ agent_id: 'a', jobs_completed: 64, jobs_failed: 0 })
})

test('case 26: one batch ends jobs of several agents in every way and counts for each agent', async () => {
  await createMany(sql, 6)
  const mine = (await claim(sql, { limit: 4 })).jobs
  const theirs = (await claim(sql, { agent_id: 'b', limit: 2 })).jobs
  const outcomes = ['completed', 'failed', 'released', 'completed', 'failed', 'completed']
  const batch = [...mine, ...theirs].map(({ job_id, lease_token }, i) => ({
    job_id,
    lease_token,
    outcome: outcomes[i],
    retryable: i !== 4,
  }))
  const answers = await call<Answer[]>(sql, 'finish_jobs', batch)
  expect(answers).toEqual(batch.map(({ job_id }) => ({ job_id, verdict: 'ok' })))
  expect((await jobRows(sql)).map(({ status, attempt }) => `${status} ${attempt}`)).toEqual([
    'completed 1',
    'pending 1',
    'pending 0',
    'completed 1',
    'failed 1',
    'completed 1',
  ])
  expect(await counts()).toEqual([
    { agent_id: 'a', jobs_completed: 2, jobs_failed: 1 },
    { agent_id: 'b', jobs_completed: 1, jobs_failed: 1 },
  ])
})

test('case 26: one batch may name a job under an old token and its new one: only the new one stands', async () => {
  await createMany(sql, 1)
  const old = await claimOne(sql)
  await finish(sql, [old], { outcome: 'failed', retry_in_ms: 0 })
  const job = await claimOne(sql)
  expect(await renew(sql, [old, job])).toEqual(['stale', 'ok'])
  expect(await finish(sql, [old, job])).toEqual(['stale', 'ok'])
})

test('case 27: every call repeated after a lost answer leaves the rows as they are and says so', async () => {
  const same = async (work: () => Promise<Array<{ verdict: string }> | string[]>) => {
    const words = (answers: Awaited<ReturnType<typeof work>>) =>
      answers.map((answer) => (typeof answer === 'string' ? answer : answer.verdict))
    const first = words(await work())
    const rows = await jobRows(sql)
    const second = words(await work())
    expect(await jobRows(sql)).toEqual(rows)
    return [...first, ...second]
  }
  const id = randomUUID()
  const claim_id = randomUUID()
  expect(await same(() => createJobs(sql, [{ id, max_attempts: 1 }]))).toEqual(['ok', 'repeat'])
  expect(await same(async () => [await claim(sql, { claim_id })])).toEqual(['ok', 'repeat'])
  const job = { job_id: id, lease_token: 1 }
  expect(await same(() => finish(sql, [job], { outcome: 'failed' }))).toEqual(['ok', 'repeat'])
  expect(await same(() => change(sql, 'redrive_jobs', [id]))).toEqual(['ok', 'repeat'])
  expect(await same(() => change(sql, 'cancel_jobs', [id]))).toEqual(['ok', 'repeat'])
})

test('case 28: of completions and cancellations that race over 200 jobs exactly one wins each', async () => {
  await createMany(sql, 200)
  const { jobs } = await claim(sql, { limit: 200 })
  const share = (i: number) => jobs.slice(50 * i, 50 * i + 50)
  const completions: string[] = []
  const cancellations: string[] = []
  const each = async (own: Job[], act: (job: Job) => Promise<string[]>, verdicts: string[]) => {
    for (const job of own) verdicts.push(...(await act(job)))
  }
  await Promise.all(
    workers.map((worker, i) =>
      i < 4
        ? each(share(i), (job) => finish(worker, [job]), completions)
        : each(share(i - 4), (job) => change(worker, 'cancel_jobs', [job.job_id]), cancellations),
    ),
  )
  const { ok: completed = 0, ...lateCompletions } = tally(completions)
  const { ok: cancelled = 0, ...lateCancellations } = tally(cancellations)
  expect(completed + cancelled).toBe(200)
  expect([lateCompletions, lateCancellations]).toEqual([cancelled ? { stale: cancelled } : {}, completed ? { stale: completed } : {}])
  expect(tally((await jobRows(sql)).map(({ status }) => status))).toEqual({
    ...(completed && { completed }),
    ...(cancelled && { cancelled }),
  })
})

test('case 28: a cancelled job’s holder is refused, its key is free, and a job that ended is not cancelled', async () => {
  const [{ job_id } = { job_id: '' }] = await createJobs(sql, [{ dedupe_key: 'k' }])
  const job = await claimOne(sql)
  expect(await change(sql, 'cancel_jobs', [job_id])).toEqual(['ok'])
  expect([...(await finish(sql, [job])), ...(await renew(sql, [job]))]).toEqual(['stale', 'stale'])
  expect((await createJobs(sql, [{ dedupe_key: 'k' }]))[0]?.verdict).toBe('ok')
  const next = await claimOne(sql)
  await finish(sql, [next])
  expect(await change(sql, 'cancel_jobs', [next.job_id])).toEqual(['stale'])
})

test('case 29: a result of 1 MB is kept; one of 10 MB, a NUL or half a character is refused and the job still held', async () => {
  await createMany(sql, 2)
  const [kept, job] = (await claim(sql, { limit: 2 })).jobs as [Job, Job]
  const result = { text: `${'ü😀'.repeat(150_000)}` }
  expect(await finish(sql, [kept], { outcome: 'completed', result })).toEqual(['ok'])
  expect((await jobRow(sql, kept.job_id)).result).toEqual(result)

  const row = await jobRow(sql, job.job_id)
  const refused = []
  for (const text of ['x'.repeat(10_000_000), 'a\u0000b', 'a\ud800b'])
    refused.push((await failure(finish(sql, [job], { outcome: 'completed', result: { text } })))?.code)
  expect(refused).toEqual(['23514', '22P05', '22P02'])
  expect(await jobRow(sql, job.job_id)).toEqual(row)
  expect(await finish(sql, [job])).toEqual(['ok'])
})
