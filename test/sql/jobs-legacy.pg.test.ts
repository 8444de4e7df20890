import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { claim, claimOne, createJobs, createMany, finish, jobRow, jobRows, moveClock, openWorkers, renew, tally } from './job-queue.ts'
import { call, failure, insert, type Row, rpc, update } from './rest.ts'

let db: Database
let sql: Client // as the existing agents connect
beforeAll(async () => {
  db = await freshDatabase({ max: 1 })
  sql = db.connect({ role: 'service_role', max: 1 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  await moveClock(sql, '0')
  await db.sql`truncate public.agent_jobs, public.agent_claims, public.agent_leases, public.agent_status cascade`
})

/** An existing agent's start: literally the row it upserts. */
const register = (agent_id: string, agent_type: string) =>
  insert(
    sql,
    'agent_status',
    { agent_id, agent_name: agent_id, agent_type, status: 'idle', last_heartbeat: '2026-11-20T00:00:00Z', capabilities: ['x'] },
    { onConflict: 'agent_id' },
  )

/** An existing agent's new job: literally the row it inserts. */
const post = (job_type: string, assigned_to: string | null = null, priority = 5) =>
  insert(sql, 'agent_jobs', {
    job_type,
    payload: { from: 'python' },
    priority,
    created_by: 'coordinator-main',
    assigned_to,
    status: assigned_to ? 'assigned' : 'pending',
  })

const claimNext = (agent_id: string) => rpc(sql, 'claim_next_job', { agent_id })
const complete = (p_job_id: unknown, p_success: boolean, more: Row = {}) =>
  rpc(sql, 'complete_job', { p_job_id, p_success, p_result: { pnl: 1 }, p_error: p_success ? null : 'no', ...more })
const beat = (p_agent_id: string, p_status: string, p_current_job: unknown = null) =>
  rpc(sql, 'update_agent_heartbeat', { p_agent_id, p_status, p_current_job })
const agentRow = async (agent_id: string) => (await sql`select * from public.agent_status where agent_id = ${agent_id}`)[0]

test('an existing trader’s day: register, claim, work, complete, idle', async () => {
  await register('trader-1', 'trader')
  const posted = await post('execute_trade', null, 3)
  const [job] = await claimNext('trader-1')
  expect(job).toMatchObject({ job_id: posted.id, job_type: 'execute_trade', payload: { from: 'python' }, priority: 3 })
  await beat('trader-1', 'working', job?.job_id)
  expect(await jobRow(sql, String(posted.id))).toMatchObject({
    status: 'in_progress',
    assigned_to: 'trader-1',
    started_at: expect.any(String),
  })
  expect(await agentRow('trader-1')).toMatchObject({ status: 'working', current_job: posted.id })

  await complete(job?.job_id, true)
  await beat('trader-1', 'idle', null)
  expect(await jobRow(sql, String(posted.id))).toMatchObject({ status: 'completed', result: { pnl: 1 }, error_message: null })
  expect(await agentRow('trader-1')).toMatchObject({ status: 'idle', current_job: null, jobs_completed: 1, jobs_failed: 0 })
  expect(await claimNext('trader-1')).toEqual([])
})

test('a first heartbeat of an unknown agent makes its row, and one for a pruned job does not fail', async () => {
  await beat('new-1', 'working', '00000000-0000-4000-8000-000000000000')
  expect(await agentRow('new-1')).toMatchObject({ agent_name: 'new-1', agent_type: 'unknown', status: 'working', current_job: null })
  expect((await failure(beat('new-1', 'sleeping')))?.code).toBe('23514')
})

test('jobs addressed to an agent come first, of any type; a row inserted as assigned is such a pending job', async () => {
  await register('trader-1', 'trader')
  await post('execute_trade', null, 1)
  const mine = await post('report', 'trader-1', 10)
  await post('execute_trade', 'trader-2', 1)
  expect(mine).toMatchObject({ status: 'pending', assigned_to: 'trader-1', assigned_at: null, lease_expires_at: null })
  const given = [await claimNext('trader-1'), await claimNext('trader-1'), await claimNext('trader-1')]
  expect(given.map(([job]) => job?.job_type)).toEqual(['report', 'execute_trade', undefined])
})

test('an agent is given the types of its agent_type; an unknown agent or type any', async () => {
  const types = ['execute_trade', 'deep_research', 'research', 'scan_markets', 'report', 'odd']
  const handled: Record<string, string[]> = {}
  for (const type of ['trader', 'researcher', 'scanner', 'reporter', 'coordinator', 'nobody']) {
    await db.sql`truncate public.agent_jobs cascade`
    for (const job_type of types) await post(job_type)
    if (type !== 'nobody') await register(type, type)
    const given: string[] = []
    for (let [job] = await claimNext(type); job; [job] = await claimNext(type)) given.push(String(job.job_type))
    handled[type] = given
  }
  expect(handled).toEqual({
    trader: ['execute_trade'],
    researcher: ['deep_research', 'research'],
    scanner: ['scan_markets'],
    reporter: ['report'],
    coordinator: types,
    nobody: types,
  })
})

test('a lease of claim_next_job is 30 minutes and renewed by the heartbeat that names its job', async () => {
  const { id } = await post('report')
  await claimNext('reporter-1')
  await moveClock(sql, '29 minutes')
  await beat('reporter-1', 'working', id)
  await beat('other-1', 'working', id) // not its holder: renews nothing
  await moveClock(sql, '58 minutes')
  expect(await claimNext('reporter-2')).toEqual([])
  await moveClock(sql, '60 minutes')
  expect(await claimNext('reporter-2')).toMatchObject([{ job_id: id, attempt: 2 }])
})

test('a heartbeat does not carry a job beyond its timeout_ms', async () => {
  const [id = ''] = await createMany(sql, 1, { timeout_ms: 2_400_000 })
  await claimNext('worker-1')
  await moveClock(sql, '29 minutes')
  await beat('worker-1', 'working', id)
  await moveClock(sql, '41 minutes')
  expect(await claimNext('worker-2')).toMatchObject([{ job_id: id, attempt: 2 }])
})

test('p_success = false is a failed attempt: the job is retried while attempts remain, then dead', async () => {
  const { id } = await post('report')
  for (const hours of [1, 2, 3]) {
    await moveClock(sql, `${hours} hours`)
    expect(await claimNext('reporter-1')).toMatchObject([{ job_id: id, attempt: hours }])
    await complete(id, false)
  }
  await beat('reporter-1', 'idle')
  expect(await jobRow(sql, String(id))).toMatchObject({
    status: 'failed',
    dead_reason: 'attempts_exhausted',
    error_message: 'no',
    attempt: 3,
  })
})

test('a completion without a token is refused unless the job is held through claim_next_job', async () => {
  const { id: waiting } = await post('report')
  const refusals = [await failure(complete(waiting, true)), await failure(complete('00000000-0000-4000-8000-000000000000', true))]
  const job = await claimOne(sql) // by a Troupe agent
  const row = await jobRow(sql, job.job_id)
  refusals.push(await failure(complete(job.job_id, true)), await failure(complete(job.job_id, false)))
  await beat('a', 'working', job.job_id)
  expect(await jobRow(sql, job.job_id)).toEqual(row) // nor does a heartbeat touch what another protocol holds
  await finish(sql, [job])
  refusals.push(await failure(complete(job.job_id, false)))
  expect(refusals.map((refusal) => refusal?.code)).toEqual(['PT409', 'PT404', 'PT409', 'PT409', 'PT409'])
})

test('a completion repeated after a lost answer passes, a completed job does not become a failed one', async () => {
  const { id } = await post('report')
  await claimNext('reporter-1')
  await complete(id, true)
  const row = await jobRow(sql, String(id))
  await complete(id, true)
  expect((await failure(complete(id, false)))?.code).toBe('PT409')
  expect(await jobRow(sql, String(id))).toEqual(row)
})

test('a completion with a token is fenced by it, whoever claimed', async () => {
  const { id } = await post('report')
  const [first] = await claimNext('reporter-1')
  await moveClock(sql, '31 minutes')
  const [second] = await claimNext('reporter-2')
  expect((await failure(complete(id, true, { p_lease_token: first?.lease_token })))?.code).toBe('PT409')
  await complete(id, true, { p_lease_token: second?.lease_token })
  await complete(id, true, { p_lease_token: second?.lease_token })
  expect(await jobRow(sql, String(id))).toMatchObject({ status: 'completed', assigned_to: 'reporter-2' })
})

test('both protocols share one queue: eight agents of either kind complete 200 jobs exactly once', async () => {
  const workers = await openWorkers(db)
  await createMany(sql, 200, { payload: { n: 1 } })
  const done: string[] = []
  const legacy = async (worker: Client, agent: string) => {
    const [job] = await rpc(worker, 'claim_next_job', { agent_id: agent })
    if (!job) return
    await rpc(worker, 'update_agent_heartbeat', { p_agent_id: agent, p_status: 'working', p_current_job: job.job_id })
    await rpc(worker, 'complete_job', { p_job_id: job.job_id, p_success: true, p_result: {}, p_error: null })
    done.push(String(job.job_id))
  }
  const ours = async (worker: Client, agent_id: string) => {
    const { jobs } = await claim(worker, { agent_id, limit: 3 })
    await renew(worker, jobs, { started: true })
    if (jobs.length) expect(tally(await finish(worker, jobs))).toEqual({ ok: jobs.length })
    done.push(...jobs.map(({ job_id }) => job_id))
  }
  await Promise.all(
    workers.map(async (worker, i) => {
      while (done.length < 200) await (i % 2 ? legacy : ours)(worker, `agent-${i}`)
    }),
  )
  expect(new Set(done).size).toBe(done.length)
  expect(tally((await jobRows(sql)).map(({ status, attempt }) => `${status} ${attempt}`))).toEqual({ 'completed 1': 200 })
})

test('a finished row may be inserted as it is, and a running one never without its lease', async () => {
  const finished = { job_type: 'report', status: 'completed', assigned_to: 'a', completed_at: '2026-01-01T00:00:00Z' }
  expect(await insert(sql, 'agent_jobs', finished)).toMatchObject({ status: 'completed', assigned_to: 'a' })
  expect(await insert(sql, 'agent_jobs', { job_type: 'report', status: 'in_progress', assigned_to: 'a' })).toMatchObject({
    status: 'pending',
  })
  const { id } = await post('report')
  expect((await failure(update(sql, 'agent_jobs', ['id', String(id)], { status: 'in_progress' })))?.code).toBe('23514')
})

test('sweep_rows ends expired leases and prune_rows deletes old jobs, without a claim and with what refers to them', async () => {
  await createMany(sql, 4)
  const [done, dead, lost] = (await claim(sql, { limit: 3, claim_id: '00000000-0000-4000-8000-000000000001' })).jobs
  if (!done || !dead || !lost) throw new Error('three jobs were pending')
  await finish(sql, [done])
  await finish(sql, [dead], { outcome: 'failed', retryable: false })
  await beat('a', 'working', done.job_id)
  await moveClock(sql, '61 seconds')
  expect(await call(sql, 'sweep_rows', {})).toMatchObject({ jobs: 1 })
  await moveClock(sql, '8 days')
  expect(await call(sql, 'prune_rows', {})).toMatchObject({ jobs: 1, claims: 1 })
  await moveClock(sql, '31 days')
  expect(await call(sql, 'prune_rows', {})).toMatchObject({ jobs: 1 })
  expect(tally((await jobRows(sql)).map(({ status }) => status))).toEqual({ pending: 2 })
  expect(await agentRow('a')).toMatchObject({ current_job: null })
})

test('commit_turns ends a job under the agent’s lease and the job’s token, and creates others in the same turn', async () => {
  const node = { node_id: 'n1', agents: [{ agent_id: 'a', action: 'take', status: 'idle' }] }
  const { agents } = await call<{ agents: Array<{ lease_token: number }> }>(sql, 'sync_node', node)
  const lease_token = agents[0]?.lease_token
  await createJobs(sql, [{}, {}])
  const { jobs } = await claim(sql, { lease_token: lease_token ?? 0, limit: 2 })
  const turn = (i: number, token: number | undefined, more: Row) => ({
    agent_id: 'a',
    lease_token: token,
    job: { id: jobs[i]?.job_id, lease_token: jobs[i]?.lease_token, result: { ok: i } },
    ...more,
  })
  const commit = async (turns: Row[]) =>
    (await call<{ turns: Array<{ verdict: string }> }>(sql, 'commit_turns', { turns })).turns.map(({ verdict }) => verdict)
  expect(await commit([turn(0, (lease_token ?? 0) + 1, {})])).toEqual(['stale'])
  expect(
    await commit([turn(0, lease_token, { jobs: [{ job_type: 'next' }] }), turn(1, lease_token, { outcome: 'retry', error: 'no' })]),
  ).toEqual(['ok', 'ok'])
  expect(await commit([turn(0, lease_token, { jobs: [{ job_type: 'next' }] })])).toEqual(['repeat'])
  expect((await jobRows(sql)).map(({ status, attempt }) => `${status} ${attempt}`)).toEqual(['completed 1', 'pending 1', 'pending 0'])
})
