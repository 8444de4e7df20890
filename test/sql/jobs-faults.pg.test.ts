import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import { type Cluster, startCluster } from '../postgres-cluster.ts'
import { type Client, connectTo, withClient } from '../postgres-setup.ts'
import {
  type Answer,
  claim,
  claimOne,
  createJobs,
  createMany,
  finish,
  jobRow,
  jobRows,
  openWorkers,
  sessionOf,
  tally,
  untilBlocked,
} from './job-queue.ts'
import { persist } from './persist.ts'
import { call, failure } from './rest.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await startCluster({ connections: 16 })
})
afterAll(() => cluster[Symbol.asyncDispose]())

/** What a team of clients has seen: which jobs it completed, under which verdicts, and which failures it outlived. */
class Ledger {
  readonly claimed: string[] = []
  readonly verdicts: string[] = []
  readonly failures: string[] = []
  #waiting: Array<{ count: number; resolve: () => void }> = []

  /** Claims and completes one batch, repeating each request until it is answered. */
  async work(sql: Client, agent_id: string): Promise<void> {
    const request = { agent_id, limit: 5, claim_id: randomUUID() }
    const note = (code: string) => this.failures.push(code)
    const { jobs } = await persist(() => claim(sql, request), note)
    if (jobs.length === 0) return
    this.verdicts.push(...(await persist(() => finish(sql, jobs, { outcome: 'completed', result: agent_id }), note)))
    this.claimed.push(...jobs.map(({ job_id }) => job_id))
    for (const { resolve } of this.#waiting.filter(({ count }) => this.claimed.length >= count)) resolve()
  }

  /** Resolves once so many jobs are completed. */
  reached(count: number): Promise<void> {
    if (this.claimed.length >= count) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ count, resolve }))
  }

  /** Proves that `total` jobs were completed exactly once: in the table, and as the clients were told. */
  async expectOnce(sql: Client, total: number): Promise<void> {
    const { ok = 0, repeat = 0, ...others } = tally(this.verdicts)
    expect({ told: ok + repeat, others, distinct: new Set(this.claimed).size }).toEqual({ told: total, others: {}, distinct: total })
    const rows = await persist(() => jobRows(sql))
    expect(tally(rows.map(({ status, attempt, lease_token }) => `${status} ${attempt} ${lease_token}`))).toEqual({ 'completed 1 1': total })
  }
}

const fillCluster = (count: number) =>
  withClient(cluster.url, async (sql) => {
    await sql`truncate public.agent_jobs cascade`
    await createMany(sql, count)
  })

test('case 53: a restart and a crash of PostgreSQL under load lose no job and complete none twice', async () => {
  const clients = Array.from({ length: 8 }, () => connectTo(cluster.url, { role: 'service_role', max: 1 }))
  const total = 1_500
  await fillCluster(total)
  const ledger = new Ledger()
  const fault = async (at: number, how: 'fast' | 'immediate') => {
    await ledger.reached(at)
    await cluster.restart(how)
  }
  const faults = [fault(300, 'fast'), fault(900, 'immediate')]
  await Promise.all([
    ...faults,
    ...clients.map(async (client, i) => {
      while (ledger.claimed.length < total) await ledger.work(client, `a${i}`)
    }),
  ])
  await withClient(cluster.url, (sql) => ledger.expectOnce(sql, total))
  expect(ledger.failures.length).toBeGreaterThan(0)
  await Promise.all(clients.map((client) => client.end({ timeout: 1 })))
})

test('case 55: forty clients on a server with sixteen connections are refused at times and complete every job once', async () => {
  const total = 400
  await fillCluster(total)
  const ledger = new Ledger()
  const visit = async (agent: string) => {
    const sql = connectTo(cluster.url, { role: 'service_role', max: 1 })
    await ledger.work(sql, agent)
    await sql.end({ timeout: 1 })
  }
  await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      while (ledger.claimed.length < total) await visit(`a${i}`)
    }),
  )
  await withClient(cluster.url, (sql) => ledger.expectOnce(sql, total))
  expect(tally(ledger.failures)['53300']).toBeGreaterThan(0)
})

test('case 54: sessions terminated five times a second under the load of eight clients cost no job and double none', async () => {
  await using db = await freshDatabase({ max: 1 })
  const workers = await openWorkers(db)
  const ledger = new Ledger()
  let kills = 0
  let created = 0
  const killer = setInterval(() => {
    void terminateOne(db).then((count) => {
      kills += count
    })
  }, 200)
  const create = async (sql: Client) => {
    while (kills < 12) {
      const batch = Array.from({ length: 20 }, () => ({ id: randomUUID() }))
      const answers = await persist(() => createJobs(sql, batch))
      expect(answers.map(({ job_id }) => job_id)).toEqual(batch.map(({ id }) => id))
      created += batch.length
      await ledger.reached(created - 40)
    }
  }
  const creator = db.connect({ role: 'service_role', max: 1 })
  let isCreating = true
  await Promise.all([
    create(creator).finally(() => {
      isCreating = false
    }),
    ...workers.map(async (worker, i) => {
      while (isCreating || ledger.claimed.length < created) await ledger.work(worker, `a${i}`)
    }),
  ])
  clearInterval(killer)
  await ledger.expectOnce(db.sql, created)
  expect(tally(ledger.failures)['57P01']).toBeGreaterThan(0)
})

async function terminateOne({ sql }: Database): Promise<number> {
  const killed = await sql`select pg_terminate_backend(pid) from (
    select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() order by random() limit 1) victim`
  return killed.length
}

test('case 56: a statement timeout changes nothing, and the identical request succeeds later', async () => {
  await using db = await freshDatabase({ max: 1 })
  const [worker] = (await openWorkers(db, 1)) as [Client]
  await createMany(db.sql, 1)
  const job = await claimOne(worker)
  const row = await jobRow(db.sql, job.job_id)
  await db.sql`begin`
  await db.sql`select from public.agent_jobs where id = ${job.job_id} for update`
  await worker`set statement_timeout = '50ms'`
  expect((await failure(finish(worker, [job])))?.code).toBe('57014')
  expect(await jobRow(db.sql, job.job_id)).toEqual(row)
  const codes: string[] = []
  const verdicts = await persist(
    () => finish(worker, [job]),
    (code) => {
      codes.push(code)
      if (codes.length === 1) void db.sql`commit`.execute()
    },
  )
  expect([verdicts, new Set(codes)]).toEqual([['ok'], new Set(['57014'])])
})

test('case 56: of two transactions that create the same keys crosswise one is a deadlock’s victim, and repeats', async () => {
  await using db = await freshDatabase({ max: 1 })
  const clients = [db.connect({ max: 1 }), db.connect({ max: 1 })] as const
  for (const client of clients) await client`set deadlock_timeout = '20ms'`
  const codes: string[] = []
  const both = clients.map(() => Promise.withResolvers<void>())
  const create = (client: Client, i: number, keys: string[]) =>
    persist(
      () =>
        client.begin(async (tx) => {
          const [first] = await createJobs(tx as unknown as Client, [{ dedupe_key: keys[0] ?? '' }])
          both[i]?.resolve()
          await Promise.all(both.map(({ promise }) => promise))
          const [second] = await createJobs(tx as unknown as Client, [{ dedupe_key: keys[1] ?? '' }])
          return [first?.verdict, second?.verdict]
        }),
      (code) => codes.push(code),
    )
  const verdicts = await Promise.all([create(clients[0], 0, ['x', 'y']), create(clients[1], 1, ['y', 'x'])])
  expect(verdicts.map((pair) => pair.join()).sort()).toEqual(['duplicate,duplicate', 'ok,ok'])
  expect(codes).toEqual(['40P01'])
  expect(await jobRows(db.sql)).toHaveLength(2)
})

test('case 56: under serialisable isolation eight clients repeat their failures and complete every job once', async () => {
  await using db = await freshDatabase({ max: 1 })
  const workers = await openWorkers(db)
  const total = 200
  await createMany(db.sql, total)
  await db.sql`analyze public.agent_jobs`
  const ledger = new Ledger()
  await Promise.all(
    workers.map(async (worker, i) => {
      await worker`set default_transaction_isolation = 'serializable'`
      while (ledger.claimed.length < total) await ledger.work(worker, `a${i}`)
    }),
  )
  await ledger.expectOnce(db.sql, total)
  expect(tally(ledger.failures)['40001']).toBeGreaterThan(0)
})

test('case 56: heartbeats, completions and counts of the same agents never deadlock', async () => {
  await using db = await freshDatabase({ max: 1 })
  const [finisher, beater] = (await openWorkers(db, 2)) as [Client, Client]
  await db.sql`insert into public.agent_status (agent_id, agent_name) values ('a', 'A'), ('b', 'B')`
  await createMany(db.sql, 3)
  const [mine, other] = [await claimOne(db.sql), await claimOne(db.sql, { agent_id: 'b' })]
  // The heartbeat holds b's job and wants b's row; the batch, having ended a's job, wants b's job: it must not hold a's row yet.
  await beater`begin`
  await beater`select from public.agent_jobs where id = ${other.job_id} for update`
  const pid = await sessionOf(finisher)
  const ended = call<Answer[]>(finisher, 'finish_jobs', [
    { ...mine, outcome: 'completed' },
    { ...other, outcome: 'failed' },
  ])
  await untilBlocked(db.sql, [pid])
  await beater`update public.agent_status set status = 'working' where agent_id in ('a', 'b')`
  await beater`commit`
  expect((await ended).map(({ verdict }) => verdict)).toEqual(['ok', 'ok'])
})

test('case 58: a database that became read-only refuses with 25006, changes nothing, and goes on when it is writable again', async () => {
  await using db = await freshDatabase({ max: 1 })
  const name = new URL(db.url).pathname.slice(1)
  await createMany(db.sql, 2)
  const job = await claimOne(db.sql)
  const rows = await jobRows(db.sql)
  await db.sql.unsafe(`alter database ${name} set default_transaction_read_only = on`)

  const afresh = <Result>(use: (sql: Client) => Promise<Result>) => withClient(db.url, use)
  const refused = [
    await failure(afresh((sql) => claim(sql))),
    await failure(afresh((sql) => finish(sql, [job]))),
    await failure(afresh((sql) => createMany(sql, 1))),
  ]
  expect(refused.map((error) => error?.code)).toEqual(['25006', '25006', '25006'])
  expect(await afresh(jobRows)).toEqual(rows)
  const codes: string[] = []
  const verdicts = await persist(
    () => afresh((sql) => finish(sql, [job])),
    (code) => {
      codes.push(code)
      if (codes.length === 1) void db.sql.unsafe(`alter database ${name} reset default_transaction_read_only`).execute()
    },
  )
  expect([verdicts, new Set(codes)]).toEqual([['ok'], new Set(['25006'])])
})
