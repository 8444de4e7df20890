import { expect } from 'vitest'
import type { Database } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { call } from './rest.ts'

export type Verdict = 'ok' | 'repeat' | 'stale' | 'not_found' | 'duplicate'
export type Answer = { job_id: string; verdict: Verdict }
export type Job = {
  job_id: string
  job_type: string
  payload: unknown
  priority: number
  attempt: number
  max_attempts: number
  lease_token: number
}
/** Where the last claim stopped; clients pass it on unread. */
export type Cursor = Record<string, unknown>
export type Claim = { agent_id: string; verdict: Verdict; jobs: Job[]; cursor: Cursor | null }
export type ClaimRequest = {
  agent_id?: string
  lease_token?: number
  job_types?: string[] | null
  limit?: number
  lease_ms?: number
  claim_id?: string
  cursor?: Cursor | null
}
export type Ending = {
  outcome: 'completed' | 'failed' | 'released'
  result?: unknown
  error?: string
  retryable?: boolean
  retry_in_ms?: number
}
export type NewJob = {
  id?: string
  job_type?: string
  payload?: unknown
  priority?: number
  target_agent?: string
  dedupe_key?: string
  delay_ms?: number
  max_attempts?: number
  backoff_ms?: number
  backoff_max_ms?: number
  timeout_ms?: number
}
export type History = Array<{ attempt: number; token: number; outcome: string; agent?: string; error?: string; at: string }>
export type JobRow = {
  id: string
  status: 'pending' | 'assigned' | 'in_progress' | 'completed' | 'failed' | 'cancelled'
  assigned_to: string | null
  attempt: number
  lease_token: number
  lease_expires_at: string | null
  started_at: string | null
  assigned_at: string | null
  run_at: string
  result: unknown
  error_message: string | null
  dead_reason: string | null
  history: History
}

/** Creates jobs and gives one verdict each; the type is `work` unless said. */
export const createJobs = (sql: Client, jobs: readonly NewJob[]): Promise<Answer[]> =>
  call(
    sql,
    'create_jobs',
    jobs.map((job) => ({ job_type: 'work', ...job })),
  )

/** Creates `count` equal jobs and returns their ids in order. */
export async function createMany(sql: Client, count: number, job: NewJob = {}): Promise<string[]> {
  const answers = await createJobs(
    sql,
    Array.from({ length: count }, () => job),
  )
  return answers.map(({ job_id }) => job_id)
}

/** Claims for one agent, `a` unless said. */
export async function claim(sql: Client, request: ClaimRequest = {}): Promise<Claim> {
  const [answer] = await call<Claim[]>(sql, 'claim_jobs', [{ agent_id: 'a', ...request }])
  if (!answer) throw new Error('claim_jobs gave no answer')
  return answer
}

/** Claims one job that must be there. */
export async function claimOne(sql: Client, request: ClaimRequest = {}): Promise<Job> {
  const { jobs } = await claim(sql, { ...request, limit: 1 })
  if (!jobs[0]) throw new Error('There was no job to claim')
  return jobs[0]
}

type Held = { job_id: string; lease_token: number }
const named = ({ job_id, lease_token }: Held) => ({ job_id, lease_token })

/** Ends jobs in one batch, all of them in the same way. */
export async function finish(sql: Client, jobs: readonly Held[], ending: Ending = { outcome: 'completed' }): Promise<Verdict[]> {
  const answers = await call<Answer[]>(
    sql,
    'finish_jobs',
    jobs.map((job) => ({ ...named(job), ...ending })),
  )
  return answers.map(({ verdict }) => verdict)
}

/** Renews the leases of jobs in one batch. */
export async function renew(sql: Client, jobs: readonly Held[], more: { lease_ms?: number; started?: boolean } = {}): Promise<Verdict[]> {
  const answers = await call<Answer[]>(
    sql,
    'renew_jobs',
    jobs.map((job) => ({ ...named(job), ...more })),
  )
  return answers.map(({ verdict }) => verdict)
}

/** Calls cancel_jobs or redrive_jobs. */
export async function change(sql: Client, name: 'cancel_jobs' | 'redrive_jobs', ids: readonly string[]): Promise<Verdict[]> {
  const answers = await call<Answer[]>(
    sql,
    name,
    ids.map((job_id) => ({ job_id })),
  )
  return answers.map(({ verdict }) => verdict)
}

/** Every job as the table has it, oldest first. */
export async function jobRows(sql: Client): Promise<JobRow[]> {
  const rows = await sql<Array<{ job: JobRow }>>`select to_jsonb(j) as job from public.agent_jobs j order by j.seq`
  return rows.map(({ job }) => job)
}

/** One job as the table has it. */
export async function jobRow(sql: Client, id: string): Promise<JobRow> {
  const [row] = await sql<Array<{ job: JobRow }>>`select to_jsonb(j) as job from public.agent_jobs j where j.id = ${id}`
  if (!row) throw new Error(`There is no job ${id}`)
  return row.job
}

/** Moves the server's clock as a client of one connection sees it. */
export async function moveClock(sql: Client, offset: string): Promise<void> {
  expect(sql.options.max).toBe(1)
  await sql`select set_config('troupe.clock_offset', ${offset}, false)`
}

/** Opens clients of one connection each, as agents connect, and proves that as many sessions are open at once. */
export async function openWorkers(db: Database, count = 8): Promise<Client[]> {
  const workers = Array.from({ length: count }, () => db.connect({ role: 'service_role', max: 1 }))
  expect(new Set(await Promise.all(workers.map(sessionOf))).size).toBe(count)
  return workers
}

/** The process id of a client's one session. */
export async function sessionOf(sql: Client): Promise<number> {
  const [row] = await sql<Array<{ pid: number }>>`select pg_backend_pid() as pid`
  return row?.pid ?? 0
}

/** Returns once all these sessions wait for a lock, which only the server knows: it is asked until they do. */
export async function untilBlocked(sql: Client, pids: readonly number[]): Promise<void> {
  const limit = Date.now() + 25_000
  for (;;) {
    const waiting = await sql`select from pg_stat_activity where pid = any(${[...pids]}) and wait_event_type = 'Lock'`
    if (waiting.length === pids.length) return
    if (Date.now() > limit) throw new Error(`Only ${waiting.length} of ${pids.length} sessions wait for a lock`)
  }
}

/** How often each value occurs. */
export function tally(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1
  return counts
}
