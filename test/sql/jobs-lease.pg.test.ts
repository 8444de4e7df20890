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
  renew,
  sessionOf,
  tally,
  untilBlocked,
} from './job-queue.ts'
import { call } from './rest.ts'

let db: Database
let sql: Client
let later: Client // sees the clock a lease further on
let workers: Client[]
beforeAll(async () => {
  db = await freshDatabase({ max: 1 })
  sql = db.sql
  later = db.connect({ max: 1 })
  workers = await openWorkers(db)
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  await moveClock(sql, '0')
  await moveClock(later, '61 seconds')
  await sql`truncate public.agent_jobs, public.agent_claims, public.agent_leases, public.agent_status cascade`
})

test('case 12: a killed process’s job runs again one lease later, at the next claim of anybody', async () => {
  const [id = ''] = await createMany(sql, 1)
  await using holder = startHolder(db.url)
  const [job] = await holder.claim()
  await holder.signal('SIGKILL')
  expect((await claim(sql)).jobs).toEqual([])
  expect((await claim(later)).jobs).toMatchObject([{ job_id: job?.job_id, attempt: 2, lease_token: 3 }])
  expect((await jobRow(sql, id)).history).toMatchObject([{ attempt: 1, token: 1, outcome: 'lease_expired', agent: 'holder' }])
})

test('case 12: a process killed inside its claim’s transaction burns no attempt', async () => {
  const [id = ''] = await createMany(sql, 1)
  await using holder = startHolder(db.url)
  await holder.run('begin')
  expect(await holder.claim()).toHaveLength(1)
  await holder.signal('SIGKILL')
  await sql`select from public.agent_jobs where id = ${id} for update` // waits until the server has noticed
  expect((await claim(sql)).jobs).toMatchObject([{ job_id: id, attempt: 1, lease_token: 1 }])
})

test('case 13: a process frozen beyond its lease completes late and is refused; the result of the other stays', async () => {
  const [id = ''] = await createMany(sql, 1)
  await using holder = startHolder(db.url)
  const [job] = (await holder.claim()) as [Job]
  await holder.signal('SIGSTOP')
  const late = holder.finish(job, { outcome: 'completed', result: { by: 'frozen' } })
  expect(await finish(later, [await claimOne(later)], { outcome: 'completed', result: { by: 'other' } })).toEqual(['ok'])
  const row = await jobRow(sql, id)
  await holder.signal('SIGCONT')
  expect(await late).toBe('stale')
  expect(await jobRow(sql, id)).toEqual(row)
  expect(row).toMatchObject({ status: 'completed', result: { by: 'other' }, attempt: 2 })
})

test('case 14: while the new holder runs, the late one’s completion, failure, release and renewal are all refused', async () => {
  const [id = ''] = await createMany(sql, 1)
  await using holder = startHolder(db.url)
  const [job] = (await holder.claim()) as [Job]
  await holder.signal('SIGSTOP')
  const late = (['completed', 'failed', 'released'] as const).map((outcome) => holder.finish(job, { outcome, error: 'late' }))
  const heir = await claimOne(later)
  await renew(later, [heir], { started: true })
  const row = await jobRow(sql, id)
  await holder.signal('SIGCONT')
  expect([...(await Promise.all(late)), ...(await renew(sql, [job], { started: true }))]).toEqual(['stale', 'stale', 'stale', 'stale'])
  expect(await jobRow(sql, id)).toEqual(row)
  expect(await finish(later, [heir])).toEqual(['ok'])
})

test('case 14: an expired job is refused to its former holder as soon as it was reaped, before anybody claims it', async () => {
  await createMany(sql, 1)
  const job = await claimOne(sql)
  await claim(later, { job_types: ['another'] })
  expect([await finish(sql, [job]), await renew(sql, [job])]).toEqual([['stale'], ['stale']])
})

test('case 15: a late completion is refused although release and redrive brought back the same attempt number', async () => {
  const [id = ''] = await createMany(sql, 1, { max_attempts: 1 })
  const first = await claimOne(sql)
  await finish(sql, [first], { outcome: 'released' })
  const second = await claimOne(sql)
  await finish(sql, [second], { outcome: 'failed', error: 'no' })
  await change(sql, 'redrive_jobs', [id])
  const third = await claimOne(sql)
  expect([first, second, third].map(({ attempt, lease_token }) => [attempt, lease_token])).toEqual([
    [1, 1],
    [1, 2],
    [1, 4],
  ])
  expect([await finish(sql, [first]), await finish(sql, [second]), await finish(sql, [third])]).toEqual([['stale'], ['stale'], ['ok']])
})

test('case 16: renewals carry a job over many leases; without them it is somebody else’s one lease later', async () => {
  await createMany(sql, 1)
  const job = await claimOne(sql)
  for (let i = 1; i <= 20; i += 1) {
    await moveClock(sql, `${45 * i} seconds`)
    expect([await renew(sql, [job]), (await claim(sql, { agent_id: 'b' })).jobs]).toEqual([['ok'], []])
  }
  await moveClock(sql, `${45 * 20 + 61} seconds`)
  expect((await claim(sql, { agent_id: 'b' })).jobs).toMatchObject([{ attempt: 2 }])
})

test('case 16: an expired lease that nobody has reaped is still its holder’s to renew', async () => {
  await createMany(sql, 1)
  const job = await claimOne(sql)
  expect(await renew(later, [job])).toEqual(['ok'])
  expect((await claim(later)).jobs).toEqual([])
})

test('case 16: a lease that its holder has shortened ends when it says', async () => {
  await createMany(sql, 1)
  expect(await renew(sql, [await claimOne(sql)], { lease_ms: 1_000 })).toEqual(['ok'])
  await moveClock(sql, '2 seconds')
  expect((await claim(sql)).jobs).toHaveLength(1)
})

test('case 17: eight late completions and renewals that wait for the reaper under way are all refused', async () => {
  await createMany(sql, 8)
  const { jobs } = await claim(sql, { limit: 8 })
  const pids = await Promise.all(workers.map(sessionOf))
  await later`begin`
  await claim(later, { job_types: ['another'], limit: 100 })
  const late = Promise.all(workers.map((worker, i) => (i % 2 ? finish : renew)(worker, jobs.slice(i, i + 1))))
  await untilBlocked(sql, pids)
  await later`commit`
  expect((await late).flat()).toEqual(Array(8).fill('stale'))
  expect(tally((await jobRows(sql)).map(({ status, lease_token }) => `${status} ${lease_token}`))).toEqual({ 'pending 2': 8 })
})

test('case 17: a reaper that meets eight completions and renewals under way leaves those jobs alone', async () => {
  await createMany(sql, 8)
  const { jobs } = await claim(sql, { limit: 8 })
  await Promise.all(workers.map((worker) => worker`begin`))
  const verdicts = await Promise.all(workers.map((worker, i) => (i % 2 ? finish : renew)(worker, jobs.slice(i, i + 1))))
  expect((await claim(later, { limit: 100 })).jobs).toEqual([])
  await Promise.all(workers.map((worker) => worker`commit`))
  expect(verdicts.flat()).toEqual(Array(8).fill('ok'))
  expect(tally((await jobRows(sql)).map(({ status, attempt }) => `${status} ${attempt}`))).toEqual({ 'completed 1': 4, 'assigned 1': 4 })
})

test('case 17: of completions and reapers that race over 400 jobs exactly one wins each', async () => {
  await createMany(sql, 400)
  const { jobs } = await claim(sql, { limit: 400 })
  const heirs: Job[] = []
  const verdicts: string[] = []
  const reapers = workers.slice(4)
  await Promise.all(reapers.map((worker) => moveClock(worker, '61 seconds')))
  const reap = async (worker: Client) => {
    for (let i = 0; i < 20; i += 1) heirs.push(...(await claim(worker, { agent_id: 'b', limit: 10 })).jobs)
  }
  const complete = async (worker: Client, own: Job[]) => {
    for (let i = 0; i < own.length; i += 5) verdicts.push(...(await finish(worker, own.slice(i, i + 5))))
  }
  await Promise.all([...reapers.map(reap), ...workers.slice(0, 4).map((worker, i) => complete(worker, jobs.slice(100 * i, 100 * i + 100)))])
  await Promise.all(reapers.map((worker) => moveClock(worker, '0')))

  const { ok = 0, stale = 0 } = tally(verdicts)
  const rows = await jobRows(sql)
  expect(ok + stale).toBe(400)
  expect(new Set(heirs.map(({ job_id }) => job_id)).size).toBe(heirs.length)
  expect(tally(rows.map(({ status, attempt }) => `${status} ${attempt}`))).toEqual({
    ...(ok && { 'completed 1': ok }),
    ...(heirs.length && { 'assigned 2': heirs.length }),
    ...(stale > heirs.length && { 'pending 1': stale - heirs.length }),
  })
})

test('case 19: a handler that hangs with a live heartbeat loses its job at timeout_ms', async () => {
  await createMany(sql, 1, { timeout_ms: 90_000 })
  const job = await claimOne(sql)
  const seen: unknown[] = []
  for (const seconds of [45, 89, 91]) {
    await moveClock(sql, `${seconds} seconds`)
    seen.push([seconds, await renew(sql, [job]), (await claim(sql, { agent_id: 'b' })).jobs.length])
  }
  expect(seen).toEqual([
    [45, ['ok'], 0],
    [89, ['ok'], 0],
    [91, ['stale'], 1],
  ])
})

test('case 19: a timeout shorter than the lease ends the lease', async () => {
  await createMany(sql, 1, { timeout_ms: 10_000 })
  await claim(sql, { lease_ms: 600_000 })
  await moveClock(sql, '11 seconds')
  expect((await claim(sql, { agent_id: 'b' })).jobs).toHaveLength(1)
})

test('case 21: times that a client sends are ignored; leases are spans of the server’s clock in every time zone', async () => {
  // In New York the clocks go forward inside this lease.
  await sql`select set_config('troupe.clock_offset', extract(epoch from '2026-03-08 06:59:30+00' - clock_timestamp()) || ' seconds', false)`
  await createJobs(sql, [{ job_type: 'work', ...{ run_at: '2099-01-01', created_at: '1999-01-01', lease_expires_at: '2099-01-01' } }])
  await sql`set timezone = 'America/New_York'`
  const { jobs } = await call<Array<{ jobs: Job[] }>>(sql, 'claim_jobs', [
    { agent_id: 'a', now: '1999-01-01', lease_expires_at: '2099-01-01' },
  ]).then(([answer]) => answer ?? { jobs: [] })
  await sql`set timezone = 'Australia/Lord_Howe'`
  const [lease] = await sql`select extract(epoch from lease_expires_at - assigned_at)::float as seconds, created_at < '2026-04-01' as past
    from public.agent_jobs`
  expect([jobs.length, lease]).toEqual([1, { seconds: 60, past: true }])
  expect(await renew(sql, jobs)).toEqual(['ok'])
  await sql`reset timezone`
})

test('case 21: a server clock that steps forward ends leases once and loses nothing', async () => {
  await createMany(sql, 6)
  const before = await claim(sql, { limit: 3, job_types: ['work'] })
  await moveClock(sql, '1 hour')
  const after = await claim(sql, { agent_id: 'b', limit: 10, job_types: ['work'], cursor: before.cursor })
  expect([after.jobs.length, await finish(sql, before.jobs), await finish(sql, after.jobs)]).toEqual([
    6,
    Array(3).fill('stale'),
    Array(6).fill('ok'),
  ])
})

test('case 21: after the server’s clock was set back half a minute, a claim with an old cursor still finds new jobs', async () => {
  await moveClock(sql, '30 seconds')
  await createMany(sql, 2)
  const { cursor, jobs } = await claim(sql, { limit: 1, job_types: ['work'] })
  await moveClock(sql, '0')
  const [id] = await createMany(sql, 1)
  const found = await claim(sql, { job_types: ['work'], cursor })
  expect(found.jobs.map(({ job_id }) => job_id)).toEqual([id])
  expect(await finish(sql, jobs)).toEqual(['ok'])
})

test('case 21: after the server’s clock was set back an hour, a claim with an old cursor still ends expired leases', async () => {
  await moveClock(sql, '1 hour')
  await createMany(sql, 1, { target_agent: 'a' })
  const { cursor } = await claim(sql)
  await moveClock(sql, '0')
  const [id] = await createMany(sql, 1)
  await claim(sql, { agent_id: 'b' })
  await moveClock(sql, '61 seconds')
  expect((await claim(sql, { cursor })).jobs.map(({ job_id }) => job_id)).toEqual([id])
})

test('case 22: when all workers are dead, whoever starts later recovers everything; there is no leader', async () => {
  await createMany(sql, 30)
  for (const agent_id of ['a', 'b', 'c']) await claim(sql, { agent_id, limit: 10 })
  const late = db.connect({ role: 'service_role', max: 1 })
  await moveClock(late, '1 day')
  const recovered: Job[] = []
  for (let i = 0; i < 4; i += 1) recovered.push(...(await claim(late, { agent_id: 'd', limit: 8 })).jobs)
  expect([recovered.length, tally(await finish(late, recovered)), tally(recovered.map(({ attempt }) => `${attempt}`))]).toEqual([
    30,
    { ok: 30 },
    { 2: 30 },
  ])
})
