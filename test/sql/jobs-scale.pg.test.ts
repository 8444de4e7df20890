import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { type Claim, type Cursor, claim, createMany, finish, openWorkers, tally } from './job-queue.ts'

const million = 1_000_000
let db: Database
let sql: Client
beforeAll(async () => {
  db = await freshDatabase({ max: 1 })
  sql = db.sql
})
afterAll(() => db[Symbol.asyncDispose]())

/** Fills the table as a busy year would have; ids in order and one index built afterwards make it a matter of seconds. */
async function fill(status: 'completed' | 'pending'): Promise<void> {
  const index = status === 'completed' ? 'agent_jobs_finished' : 'agent_jobs_pending'
  const [definition] = await sql`select pg_get_indexdef(${`public.${index}`}::regclass) as text`
  await sql.unsafe(`drop index public.${index}`)
  await sql.unsafe(`insert into public.agent_jobs (id, job_type, status, priority, created_at, run_at, completed_at, attempt, assigned_to, lease_token)
    select ('${status === 'completed' ? 'a' : 'b'}' || lpad(to_hex(i), 31, '0'))::uuid, 'work', '${status}', 1 + i % 10, now() - interval '1 hour',
      now() - interval '1 hour', ${status === 'completed' ? "now(), 1, 'a', 1" : 'null, 0, null, 0'} from generate_series(1, ${million}) i`)
  await sql.unsafe(definition?.text)
  await sql.unsafe('analyze public.agent_jobs')
}

/** Milliseconds of each of `count` claims, as one agent makes them one after the other. */
async function claimTimes(client: Client, count: number, limit: number): Promise<number[]> {
  const times: number[] = []
  let cursor: Cursor | null = null
  for (let i = 0; i < count; i += 1) {
    const began = performance.now()
    const answer: Claim = await claim(client, { job_types: ['work'], limit, cursor })
    times.push(performance.now() - began)
    cursor = answer.cursor
    await finish(client, answer.jobs)
  }
  return times.sort((a, b) => a - b)
}

const quantile = (sorted: readonly number[], share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN

test('cases 2 and 3: neither a million finished nor a million pending jobs make a claim slow, and none is given twice', async () => {
  await createMany(sql, 500)
  const small = await claimTimes(sql, 100, 1)

  await fill('completed')
  await createMany(sql, 800)
  const workers = await openWorkers(db)
  const retained = (await Promise.all(workers.map((worker) => claimTimes(worker, 25, 4)))).flat().sort((a, b) => a - b)
  const alone = await claimTimes(sql, 100, 1)
  const [ends] = await sql`select array_agg(distinct status || ' ' || attempt order by status || ' ' || attempt) as all
    from public.agent_jobs where status <> 'completed' or completed_at > created_at + interval '1 ms' and created_at > now() - interval '30 minutes'`

  await fill('pending')
  const backlog = await claimTimes(sql, 100, 1)
  // A claim is well under a millisecond, a walk over a million rows is 300; the constant is what a busy machine may add.
  const bound = 2 * quantile(small, 0.5) + 25
  expect({
    retained: quantile(retained, 0.95) < 100,
    alone: quantile(alone, 0.5) < bound,
    backlog: quantile(backlog, 0.5) < bound,
    ends: ends?.all,
    left: tally([`${retained.length}`]),
  }).toEqual({ retained: true, alone: true, backlog: true, ends: ['completed 1', 'pending 0'], left: { 200: 1 } })
}, 120_000)
