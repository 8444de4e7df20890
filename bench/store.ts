import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openBackend, storeOver } from '../src/store/open.ts'
import type { Store } from '../src/store/store.ts'
import { type History, historyStatements, pendingStatement } from './history.ts'
import { busyWorker, type Call, callOver, callThrough, type Done, openTeam, rateOf, repeat, together, worker } from './load.ts'
import { type Figure, say } from './report.ts'
import { openServer, openSession, type Server, withSession } from './server.ts'
import { quantile } from './statistics.ts'

export const storeOptions = {
  rows: { type: 'string', default: '1000000' },
  backlog: { type: 'string', default: '1000000' },
  seconds: { type: 'string', default: '5' },
  hold: { type: 'string', default: '30' },
  only: { type: 'string' },
} as const

interface Sizes {
  rows: number
  backlog: number
  seconds: number
  hold: number
}

/** What parts share: a server, and a database among whose ended rows everything happens. */
interface Bench extends Sizes {
  server: Server
  kept: string
}

const clients = 4
const parts = {
  floor: measureFloor,
  jobs: measureJobs,
  latency: measureLatency,
  held: measureHeld,
  messages: measureMessages,
  postgres: measurePostgresStore,
  embedded: measureEmbeddedStore,
} as const satisfies Record<string, (bench: Bench) => Promise<Figure[]>>

/** Measures the schema over direct SQL and over the stores. */
export async function benchStore(options: Partial<Record<keyof typeof storeOptions, string>>): Promise<Figure[]> {
  const sizes = {
    rows: sizeOf(options, 'rows'),
    backlog: sizeOf(options, 'backlog'),
    seconds: sizeOf(options, 'seconds'),
    hold: sizeOf(options, 'hold'),
  }
  const wanted = options.only?.split(',') ?? Object.keys(parts)
  const unknown = wanted.filter((name) => !(name in parts))
  if (unknown.length > 0) throw new Error(`--only: there is no ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)

  await using server = await openServer()
  const settings = await withSession(server.url, describe)
  say(`${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)} before it began; ${settings}`)
  say(`filling a database with ${sizes.rows.toLocaleString('en-US')} ended jobs`)
  const kept = await server.createDatabase()
  await withSession(kept, (sql) => fill((text) => sql.unsafe(text), historyOf(sizes.rows)))
  const figures: Figure[] = []
  for (const [name, measure] of Object.entries(parts)) {
    if (wanted.includes(name)) figures.push(...(await measure({ ...sizes, server, kept })))
  }
  return figures
}

/** The least that a server can do for a change of that many rows: what the rest is to be compared with. */
async function measureFloor({ kept, seconds }: Bench): Promise<Figure[]> {
  await withSession(kept, async (sql) => {
    await sql.unsafe(`create table public.floor (id integer primary key, body jsonb not null) with (fillfactor = 50);
      insert into public.floor select i, '{}' from generate_series(1, 10000) i`)
    await sql`vacuum (analyze) public.floor`
  })
  const update = (batch: number) =>
    overSessions(kept, async (sql, nth) => {
      let at = nth * 2000
      return await repeat(seconds / 2, async () => {
        at = nth * 2000 + ((at + batch) % 2000)
        const ids = Array.from({ length: batch }, (_, index) => nth * 2000 + ((at + index) % 2000) + 1)
        await sql`update public.floor set body = ${sql.json({ at })} where id = any(${ids}::integer[]) returning body`
        return batch
      })
    })
  const insert = (batch: number) =>
    overSessions(kept, (sql) =>
      repeat(seconds / 2, async () => {
        const rows = Array.from({ length: batch }, () => ({ job_type: 'floor', payload: { n: 1 }, status: 'cancelled' }))
        await sql`insert into public.agent_jobs (job_type, payload, status, completed_at)
          select r.job_type, r.payload, r.status, now() from jsonb_to_recordset(${sql.json(rows)}) r(job_type text, payload jsonb, status text)`
        return batch
      }),
    )
  const figures: Figure[] = []
  for (const batch of [1, 20]) {
    say(`floor: ${batch} rows a transaction`)
    figures.push(
      { name: `floor: rows updated by key, ${batch} a transaction`, value: rateOf(await update(batch)), unit: 'rows/s' },
      { name: `floor: jobs inserted, ${batch} a transaction`, value: rateOf(await insert(batch)), unit: 'rows/s' },
    )
  }
  return figures
}

async function measureJobs({ kept, seconds, rows }: Bench): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const batch of [1, 20, 100]) {
    say(`jobs over direct SQL, batch ${batch}`)
    await addJobs(kept, Math.ceil(seconds * (batch === 1 ? 10_000 : 45_000)))
    const before = await countCompleted(kept)
    const done = await overSessions(kept, (sql, nth) => repeat(seconds, busyWorker(callOver(sql), { agent: `worker-${nth}`, batch })))
    verify(`batch ${batch}`, done.count, (await countCompleted(kept)) - before)
    figures.push({
      name: `jobs claimed and completed, direct SQL, batch ${batch}`,
      value: rateOf(done),
      unit: 'jobs/s',
      note: `${clients} clients, ${rows.toLocaleString('en-US')} ended jobs kept`,
      ...(batch === 20 && { aim: { min: 25_000 } }),
    })
  }
  return figures
}

/** The three are measured in turn, a few claims each time, so that noise of the machine meets them alike. */
async function measureLatency({ server, kept, seconds, rows, backlog }: Bench): Promise<Figure[]> {
  say(`latency: filling a database with ${backlog.toLocaleString('en-US')} pending jobs`)
  const waiting = await server.createDatabase()
  const empty = await server.createDatabase()
  await addJobs(waiting, backlog)
  await addJobs(empty, 50_000)
  await addJobs(kept, 50_000)
  say('latency: claims of 20 jobs, one client')
  const cases = [empty, kept, waiting].map((url) => {
    const sql = openSession(url)
    const times: number[] = []
    return { sql, times, work: worker(callOver(sql), { agent: 'worker', batch: 20, claimed: (took) => times.push(took) }) }
  })
  const began = performance.now()
  while (performance.now() - began < 3 * seconds * 1000) {
    for (const { work } of cases) for (let nth = 0; nth < 10; nth += 1) await work()
  }
  await Promise.all(cases.map(({ sql }) => sql.end()))
  const names = ['an empty table', `${rows.toLocaleString('en-US')} ended jobs`, `${backlog.toLocaleString('en-US')} pending jobs`]
  return [0.5, 0.95].flatMap((share) => {
    const values = cases.map(({ times }) => quantile(times.slice(20), share))
    const [base = Number.NaN] = values
    return values.flatMap((value, nth) => {
      const name = `claim of 20, p${share * 100}, ${names[nth]}`
      const ratio = { name: `${name}: against an empty table`, value: value / base, unit: 'times' }
      return [{ name, value, unit: 'ms' }, ...(nth === 0 ? [] : [nth === 1 && share === 0.5 ? { ...ratio, aim: { max: 1.2 } } : ratio])]
    })
  })
}

/**
 * Two copies of a database at the same time, two clients each: in one of them a transaction stays open, so that no dead row in it
 * can be removed. Both meet the same noise, and share the cores by what a job costs them.
 */
async function measureHeld({ server, kept, hold }: Bench): Promise<Figure[]> {
  say(`held: two copies, ${hold} s`)
  await addJobs(kept, Math.max(hold * 15_000 - 50_000, 1000))
  const free = await server.createDatabase(kept)
  const held = await server.createDatabase(kept)
  const holder = openSession(held)
  await holder.unsafe('begin isolation level repeatable read; select txid_current(); select count(*) from public.system_config')
  const interval = 10_000
  const counts: Record<'free' | 'held', number[]> = { free: [], held: [] }
  const began = performance.now()
  const load = (name: 'free' | 'held', url: string) =>
    overSessions(
      url,
      (sql, nth) => {
        const work = busyWorker(callOver(sql), { agent: `worker-${nth}`, batch: 20 })
        return repeat(hold, async () => {
          const count = await work()
          const slot = Math.min(Math.floor((performance.now() - began) / interval), Math.ceil((hold * 1000) / interval) - 1)
          counts[name][slot] = (counts[name][slot] ?? 0) + count
          return count
        })
      },
      2,
    )
  const [withoutHolder, withHolder] = await Promise.all([load('free', free), load('held', held)])
  await holder.end()
  return [
    { name: 'jobs, batch 20, two clients', value: rateOf(withoutHolder), unit: 'jobs/s', note: `per 10 s: ${counts.free.join(', ')}` },
    { name: 'the same beside an idle transaction', value: rateOf(withHolder), unit: 'jobs/s', note: `per 10 s: ${counts.held.join(', ')}` },
    {
      name: 'throughput left beside an idle transaction',
      value: rateOf(withHolder) / rateOf(withoutHolder),
      unit: 'times',
      aim: { min: 0.5 },
    },
    {
      name: 'the same in the last interval',
      value: (counts.held.at(-1) ?? 0) / (counts.free.at(-1) ?? Number.NaN),
      unit: 'times',
      aim: { min: 0.5 },
    },
  ]
}

async function measureMessages({ kept, seconds }: Bench): Promise<Figure[]> {
  const sql = openSession(kept)
  const figures = await measureTurns(callOver(sql), 'direct SQL', seconds, [1, 32, 256])
  await sql.end()
  return figures
}

async function measureTurns(call: Call, where: string, seconds: number, batches = [1, 32, 64]): Promise<Figure[]> {
  say(`messages over ${where}`)
  const commit = await openTeam(call, 512)
  const figures: Figure[] = []
  for (const batch of batches) {
    const done = await repeat(seconds, () => commit(batch))
    figures.push({
      name: `messages committed, ${where}, batch ${batch}`,
      value: rateOf(done),
      unit: 'messages/s',
      note: 'one at a time; each with a state and a message sent',
    })
  }
  return figures
}

async function measurePostgresStore({ kept, seconds }: Bench): Promise<Figure[]> {
  const backend = await openBackend({ env: { DATABASE_URL: kept } })
  await backend.migrate()
  await using store = storeOver(backend)
  await addJobs(kept, seconds * 20_000)
  return [
    ...(await measureStoreJobs(store, 'postgres store', seconds)),
    ...(await measureTurns(callThrough(store), 'postgres store', seconds)),
  ]
}

async function measureEmbeddedStore({ seconds, rows }: Bench): Promise<Figure[]> {
  say('embedded store: filling it')
  const folder = await mkdtemp(join(tmpdir(), 'troupe-bench-'))
  try {
    const backend = await openBackend({ env: {}, folder })
    await using store = storeOver(backend)
    await fill((text) => backend.query(text, { timeout: 600_000 }), historyOf(rows))
    await backend.query(pendingStatement(seconds * 10_000), { timeout: 600_000 })
    return [
      ...(await measureStoreJobs(store, 'embedded store', seconds, { min: 4000 })),
      ...(await measureTurns(callThrough(store), 'embedded store', seconds)),
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function measureStoreJobs(store: Store, where: string, seconds: number, aim?: { min: number }): Promise<Figure[]> {
  say(`jobs over ${where}`)
  const call = callThrough(store)
  const done = await together(
    Array.from({ length: 2 }, (_, nth) => repeat(seconds, busyWorker(call, { agent: `worker-${nth}`, batch: 50 }))),
  )
  return [
    { name: `jobs claimed and completed, ${where}, batch 50`, value: rateOf(done), unit: 'jobs/s', note: '2 clients', ...(aim && { aim }) },
  ]
}

async function fill(run: (text: string) => Promise<unknown>, history: History): Promise<void> {
  for (const statement of historyStatements(history)) await run(statement)
}

function historyOf(rows: number): History {
  return { jobs: rows, messages: Math.ceil(rows * 0.3), executions: Math.ceil(rows * 0.1) }
}

/** Leaves that many pending jobs, and no dead rows of what was there before. */
async function addJobs(url: string, count: number): Promise<void> {
  await withSession(url, async (sql) => {
    await sql`delete from public.agent_jobs where status = 'pending'`
    await sql.unsafe(pendingStatement(count))
    await sql`vacuum (analyze) public.agent_jobs`
  })
}

async function overSessions(
  url: string,
  work: (sql: ReturnType<typeof openSession>, nth: number) => Promise<Done>,
  count = clients,
): Promise<Done> {
  const sessions = Array.from({ length: count }, () => openSession(url))
  try {
    return await together(sessions.map(work))
  } finally {
    await Promise.all(sessions.map((sql) => sql.end()))
  }
}

async function countCompleted(url: string): Promise<number> {
  return await withSession(url, async (sql) =>
    Number((await sql`select count(*) from public.agent_jobs where status = 'completed'`)[0]?.count),
  )
}

function verify(what: string, counted: number, found: number): void {
  if (counted !== found) throw new Error(`${what}: ${counted} jobs were completed, the table has ${found} more`)
}

async function describe(sql: ReturnType<typeof openSession>): Promise<string> {
  const [row] = await sql`select 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync')
    || ', synchronous_commit ' || current_setting('synchronous_commit') || ', shared_buffers ' || current_setting('shared_buffers') as text`
  return String(row?.text)
}

function sizeOf(options: Partial<Record<keyof typeof storeOptions, string>>, name: keyof Sizes): number {
  const size = Number(options[name] ?? storeOptions[name].default)
  if (!(size > 0)) throw new Error(`--${name}: expected a positive number, found ${JSON.stringify(options[name])}`)
  return size
}
