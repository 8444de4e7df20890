import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import {
  type Claim,
  type Cursor,
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
  sessionOf,
  tally,
  untilBlocked,
} from './job-queue.ts'
import { call, failure } from './rest.ts'

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

/** Claims and completes until `total` jobs are completed by all who share `taken`. */
async function work(worker: Client, taken: Job[], total: number, limit: number, types: string[] | null = ['work']) {
  let cursor: Cursor | null = null
  while (taken.length < total) {
    const answer: Claim = await claim(worker, { limit, cursor, job_types: types })
    taken.push(...answer.jobs)
    cursor = answer.cursor
    if (answer.jobs.length) expect(tally(await finish(worker, answer.jobs))).toEqual({ ok: answer.jobs.length })
  }
}

for (const types of [['work'], ['work', 'toil', 'play'], null]) {
  test(`case 1: eight clients complete every job exactly once, claiming ${types?.join(', ') ?? 'any type'}`, async () => {
    const total = 600
    await createJobs(
      sql,
      Array.from({ length: total }, (_, i) => ({ job_type: types?.[i % types.length] ?? `type${i % 4}`, priority: 1 + (i % 10) })),
    )
    const taken: Job[] = []
    await Promise.all(workers.map((worker, i) => work(worker, taken, total, 1 + i, types)))

    const rows = await jobRows(sql)
    expect({
      taken: taken.length,
      distinct: new Set(taken.map(({ job_id }) => job_id)).size,
      ends: tally(rows.map(({ status, attempt, lease_token }) => `${status} ${attempt} ${lease_token}`)),
    }).toEqual({ taken: total, distinct: total, ends: { 'completed 1 1': total } })
  })
}

test('case 4: eight clients with batches of 500 share 4,000 jobs exactly', async () => {
  for (let i = 0; i < 8; i += 1) await createMany(sql, 500)
  const taken: Job[] = []
  await Promise.all(workers.map((worker) => work(worker, taken, 4_000, 500)))
  expect(new Set(taken.map(({ job_id }) => job_id)).size).toBe(taken.length)
  expect(tally((await jobRows(sql)).map(({ status }) => status))).toEqual({ completed: 4_000 })
})

test('case 4: one call gives 1,500 jobs untruncated, a limit of 1,500 is refused', async () => {
  await createMany(sql, 1_500)
  expect(await failure(claim(sql, { limit: 1_500 }))).toEqual({ code: 'PT400', message: 'claim_jobs: limit is 1500' })
  const answers = await call<Claim[]>(
    sql,
    'claim_jobs',
    ['a', 'b', 'c'].map((agent_id) => ({ agent_id, limit: 500 })),
  )
  const jobs = answers.flatMap((answer) => answer.jobs)
  expect(answers.map((answer) => answer.jobs.length)).toEqual([500, 500, 500])
  expect(new Set(jobs.map(({ job_id }) => job_id)).size).toBe(1_500)
  expect(tally(await finish(sql, jobs))).toEqual({ ok: 1_500 })
})

test('case 5: the order is priority, due time, age, and equal ones keep the order of their creation', async () => {
  const wanted = [
    { priority: 5, delay_ms: 2_000 },
    { priority: 1, delay_ms: 3_000 },
    { priority: 5, delay_ms: 1_000 },
    ...Array.from({ length: 6 }, () => ({ priority: 3 })),
  ]
  for (const kinds of [['work'], ['work', 'toil', 'play']]) {
    await sql`truncate public.agent_jobs cascade`
    const ids = (
      await createJobs(
        sql,
        wanted.map((job, i) => ({ ...job, job_type: kinds[i % kinds.length] as string })),
      )
    ).map(({ job_id }) => job_id)
    await moveClock(sql, '4 seconds')
    const order = [1, 3, 4, 5, 6, 7, 8, 2, 0].map((i) => ids[i])
    const given: string[] = []
    let cursor: Cursor | null = null
    for (const limit of [1, 3, 1, 4]) {
      const answer: Claim = await claim(sql, { job_types: kinds, limit, cursor })
      given.push(...answer.jobs.map(({ job_id }) => job_id))
      cursor = answer.cursor
    }
    expect(given).toEqual(order)
    await moveClock(sql, '0')
  }
})

test('case 6: priority is strict: a low one waits while higher ones are pending, then comes at once', async () => {
  const [low] = await createMany(sql, 1, { priority: 10 })
  await moveClock(sql, '1 hour')
  const high = await createMany(sql, 3, { priority: 1 })
  const given: Array<string | undefined> = []
  let cursor: Cursor | null = null
  for (let i = 0; i < 4; i += 1) {
    const answer: Claim = await claim(sql, { job_types: ['work'], cursor })
    given.push(answer.jobs[0]?.job_id)
    cursor = answer.cursor
  }
  expect(given).toEqual([...high, low])
})

test('case 6: jobs addressed to the agent come first and hide no other job from its next claim', async () => {
  const [open] = await createMany(sql, 1, { priority: 1 })
  await moveClock(sql, '1 hour')
  const [mine] = await createMany(sql, 1, { priority: 10, target_agent: 'a' })
  await createMany(sql, 1, { priority: 1, target_agent: 'b' })
  const first = await claim(sql, { job_types: ['work'] })
  const second = await claim(sql, { job_types: ['work'], cursor: first.cursor, limit: 5 })
  expect([first, second].map(({ jobs }) => jobs.map(({ job_id }) => job_id))).toEqual([[mine], [open]])
})

test('case 7: only the types asked for are given; a type that nobody handles stays as it is', async () => {
  await createJobs(sql, [{ job_type: 'odd' }, { job_type: 'odd', target_agent: 'a' }, { job_type: 'work' }, { job_type: 'toil' }])
  const odd = (await jobRows(sql)).slice(0, 2)
  const given = await claim(sql, { job_types: ['work', 'toil', 'unheard of'], limit: 100 })
  expect(given.jobs.map(({ job_type }) => job_type)).toEqual(['work', 'toil'])
  expect((await claim(sql, { job_types: [], limit: 100 })).jobs).toEqual([])
  await moveClock(sql, '2 hours')
  await claim(sql, { job_types: ['work'], limit: 100 })
  expect((await jobRows(sql)).slice(0, 2)).toEqual(odd)
})

test('case 8: a job with a delay is invisible until it is due, and then given on time', async () => {
  await createMany(sql, 1, { delay_ms: 60_000 })
  const empty = await claim(sql, { job_types: ['work'] })
  await moveClock(sql, '59 seconds')
  expect((await claim(sql, { job_types: ['work'], cursor: empty.cursor })).jobs).toEqual([])
  await moveClock(sql, '60 seconds')
  expect((await claim(sql, { job_types: ['work'], cursor: empty.cursor })).jobs).toHaveLength(1)
})

test('case 10: a claim repeated with its id gives the same jobs and tokens, to eight at once too', async () => {
  await createMany(sql, 20)
  const request = { limit: 7, claim_id: randomUUID() }
  const answers = await Promise.all(workers.map((worker) => claim(worker, request)))
  expect(tally(answers.map(({ verdict }) => verdict))).toEqual({ ok: 1, repeat: 7 })
  expect(new Set(answers.map(({ jobs }) => JSON.stringify(jobs))).size).toBe(1)
  expect(tally((await jobRows(sql)).map(({ status, attempt }) => `${status} ${attempt}`))).toEqual({ 'assigned 1': 7, 'pending 0': 13 })
})

test('case 10: a repeated claim leaves out what has ended or was taken over, and answers nobody else', async () => {
  await createMany(sql, 3)
  const request = { limit: 3, claim_id: randomUUID() }
  const { jobs } = await claim(sql, request)
  const [done, lost, kept] = jobs as [Job, Job, Job]
  await finish(sql, [done])
  await finish(sql, [lost], { outcome: 'failed', retry_in_ms: 0 })
  await claim(sql, { agent_id: 'b' })
  expect(await claim(sql, request)).toMatchObject({ verdict: 'repeat', jobs: [kept] })
  expect(await claim(sql, { ...request, agent_id: 'b' })).toMatchObject({ verdict: 'repeat', jobs: [] })
})

type Lease = { verdict: string; lease_token: number; node_id?: string }
async function syncNode(client: Client, node_id: string, agent: Record<string, unknown>): Promise<Lease> {
  const answer = await call<{ agents: Lease[] }>(client, 'sync_node', { node_id, agents: [{ agent_id: 'a', ...agent }] })
  return answer.agents[0] as Lease
}

test('case 11: of two containers with the same agent one claims; after a takeover the other is refused', async () => {
  await createMany(sql, 5)
  const first = await syncNode(sql, 'node-1', { action: 'take' })
  expect(await syncNode(sql, 'node-2', { action: 'take' })).toMatchObject({ verdict: 'busy', node_id: 'node-1' })
  expect((await claim(sql, { lease_token: first.lease_token })).jobs).toHaveLength(1)

  await moveClock(sql, '16 seconds')
  const second = await syncNode(sql, 'node-2', { action: 'take' })
  expect(second).toMatchObject({ verdict: 'ok', lease_token: first.lease_token + 1 })
  expect(await claim(sql, { lease_token: first.lease_token })).toMatchObject({ verdict: 'stale', jobs: [] })
  expect(await syncNode(sql, 'node-1', { action: 'hold', lease_token: first.lease_token })).toMatchObject({ verdict: 'stale' })
  expect(await claim(sql, { lease_token: second.lease_token })).toMatchObject({ verdict: 'ok', jobs: [{ attempt: 1 }] })
})

test('a claim whose answer got lost before a takeover gives its jobs back when it is asked for again', async () => {
  await createMany(sql, 3)
  const { lease_token } = await syncNode(sql, 'node-1', { action: 'take' })
  const lost = { lease_token, limit: 2, claim_id: crypto.randomUUID() }
  const [, ended] = (await claim(sql, lost)).jobs
  await finish(sql, ended ? [ended] : [])
  await syncNode(sql, 'node-1', { action: 'take' })

  expect(await claim(sql, lost)).toMatchObject({ verdict: 'stale', jobs: [] })
  expect((await jobRows(sql)).map(({ status, attempt }) => ({ status, attempt }))).toEqual([
    { status: 'pending', attempt: 0 },
    { status: 'completed', attempt: 1 },
    { status: 'pending', attempt: 0 },
  ])
})

test('case 11: eight claims that meet a takeover under way wait for it and get nothing', async () => {
  await createMany(sql, 50)
  const { lease_token } = await syncNode(sql, 'node-1', { action: 'take' })
  const pids = await Promise.all(workers.map(sessionOf))
  const watcher = db.connect({ max: 1 })
  await moveClock(sql, '16 seconds')

  await sql`begin`
  await syncNode(sql, 'node-2', { action: 'take' })
  const claims = Promise.all(workers.map((worker) => claim(worker, { lease_token, limit: 5 })))
  await untilBlocked(watcher, pids)
  await sql`commit`
  expect(tally((await claims).map(({ verdict, jobs }) => `${verdict} ${jobs.length}`))).toEqual({ 'stale 0': 8 })
  expect(tally((await jobRows(sql)).map(({ status }) => status))).toEqual({ pending: 50 })
})

test('case 11: a takeover waits for eight claims under way, and all fifty jobs have one holder each', async () => {
  await createMany(sql, 50)
  const { lease_token } = await syncNode(sql, 'node-1', { action: 'take' })
  const taker = db.connect({ max: 1 })
  await moveClock(taker, '16 seconds')
  const pid = await sessionOf(taker)

  await Promise.all(workers.map((worker) => worker`begin`))
  const first = await Promise.all(workers.map((worker) => claim(worker, { lease_token, limit: 5 })))
  const takeover = syncNode(taker, 'node-2', { action: 'take' })
  await untilBlocked(sql, [pid])
  await Promise.all(workers.map((worker) => worker`commit`))
  const second = await claim(taker, { lease_token: (await takeover).lease_token, limit: 500 })
  const late = await Promise.all(workers.map((worker) => claim(worker, { lease_token, limit: 5 })))

  const jobs = [...first, second, ...late].flatMap((answer) => answer.jobs.map(({ job_id }) => job_id))
  expect({ first: first.flatMap((answer) => answer.jobs).length, second: second.jobs.length, distinct: new Set(jobs).size }).toEqual({
    first: 40,
    second: 10,
    distinct: 50,
  })
})

test('case 11: claims for many agents lock their leases in one order, whatever order they are asked in', async () => {
  const agents = ['a', 'b', 'c', 'd']
  const nodes = await call<{ agents: Array<Lease & { agent_id: string }> }>(sql, 'sync_node', {
    node_id: 'node-1',
    agents: agents.map((agent_id) => ({ agent_id, action: 'take' })),
  })
  const requests = nodes.agents.map(({ agent_id, lease_token }) => ({ agent_id, lease_token }))
  const hold = { node_id: 'node-1', agents: requests.map((agent) => ({ ...agent, action: 'hold' })) }
  const [locker, claimer] = workers as [Client, Client]
  const claimerPid = await sessionOf(claimer)
  // While "a" is held by somebody, a claim that names "a" last must not hold "d" already.
  await locker`begin`
  await call(locker, 'sync_node', { ...hold, agents: hold.agents.slice(0, 1) })
  const claims = call<Claim[]>(claimer, 'claim_jobs', requests.toReversed())
  await untilBlocked(sql, [claimerPid])
  await call(locker, 'sync_node', hold)
  await locker`commit`
  expect((await claims).map(({ verdict }) => verdict)).toEqual(['ok', 'ok', 'ok', 'ok'])
})

test('a job given in a claim carries what its handler needs', async () => {
  await createJobs(sql, [{ job_type: 'work', payload: { market: 'm', n: [1, null] }, priority: 2, max_attempts: 7, timeout_ms: 9_000 }])
  const job = await claimOne(sql)
  expect(job).toMatchObject({
    payload: { market: 'm', n: [1, null] },
    priority: 2,
    attempt: 1,
    max_attempts: 7,
    lease_token: 1,
    timeout_ms: 9_000,
  })
  expect(await jobRow(sql, job.job_id)).toMatchObject({ status: 'assigned', assigned_to: 'a', started_at: null })
})
