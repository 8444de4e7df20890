import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Holder } from '../../src/store/folder.ts'
import { openBackend } from '../../src/store/open.ts'
import { createRemote } from '../../src/store/remote.ts'
import { makeDatabase } from '../embedded-folder.ts'
import { type Client, connectTo } from '../postgres-setup.ts'
import type { Book, Effect, Order } from './actors/account.ts'
import type { Facts } from './audit.ts'
import { accounts, type BankOptions, bankConfig, opening } from './bank.ts'
import { makeProject } from './project.ts'

export type Row = Readonly<Record<string, unknown>>
export type Query = (sql: string) => Promise<readonly Row[]>

/** A project with a store of its own, to start the bank in. */
export type Ground = AsyncDisposable & {
  readonly kind: 'embedded' | 'postgres'
  readonly project: string
  /** What processes need to find the store. */
  readonly env: Readonly<Record<string, string>>
  /** Asks the store while the bank runs; fails while it does not answer. */
  readonly query: Query
  /** Reads everything once the bank has come to rest and no process runs. */
  facts(orders: readonly Order[]): Promise<Facts>
}

type GroundOptions = Omit<BankOptions, 'effects'>

/** In a folder of its own, with the embedded store. */
export async function embeddedGround(options: GroundOptions): Promise<Ground> {
  const base = await openProject(options)
  await makeDatabase(join(base.project, '.troupe'))
  return {
    ...base,
    kind: 'embedded',
    env: {},
    async query(sql) {
      const holder: Holder = JSON.parse(await readFile(join(base.project, '.troupe/run.json'), 'utf8'))
      return rowsOf(await createRemote(holder).query(sql, { timeout: 10_000 }))
    },
    async facts(orders) {
      const backend = await openBackend({ env: {}, folder: join(base.project, '.troupe') })
      try {
        return await readFacts(async (sql) => rowsOf(await backend.query(sql)), base.effects, orders)
      } finally {
        await backend.close()
      }
    },
  }
}

/** Over a PostgreSQL database with the schema in it; `server` is how processes get there, when that is another way. */
export async function postgresGround({ url, server = url, ...options }: GroundOptions & { url: string; server?: string }): Promise<Ground> {
  const base = await openProject(options)
  const sql: Client = connectTo(url, { max: 2 })
  const query: Query = (text) => sql.unsafe(text)
  return {
    ...base,
    kind: 'postgres',
    env: { DATABASE_URL: server },
    query,
    facts: (orders) => readFacts(query, base.effects, orders),
    async [Symbol.asyncDispose]() {
      await sql.end({ timeout: 1 })
      await base[Symbol.asyncDispose]()
    },
  }
}

async function openProject(options: GroundOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-soak-'))
  const project = join(folder, 'bank')
  const effects = join(folder, 'effects.ndjson')
  await makeProject(project, bankConfig({ ...options, effects }))
  return { project, effects, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true, maxRetries: 3 }) }
}

function rowsOf({ columns, rows }: { readonly columns: readonly string[]; readonly rows: readonly (readonly unknown[])[] }): Row[] {
  return rows.map((values) => Object.fromEntries(columns.map((name, index) => [name, values[index]])))
}

async function readFacts(query: Query, file: string, orders: readonly Order[]): Promise<Facts> {
  const number = (json: string) => `coalesce((${json} ->> 'n')::int * 1000 + (${json} ->> 'hop')::int, -1)`
  const states = await query('select agent_id, state from agent_state')
  const deliveries = await query(
    `select m.subject as type, d.status, d.dead_reason as reason,
       case when m.subject in ('pay', 'credit', 'due') then ${number('m.body::jsonb')} else -1 end as id
     from agent_deliveries d join agent_messages m on m.id = d.message_id`,
  )
  const jobs = await query(`select status, result, ${number('payload')} as id from agent_jobs`)
  const [left] = await query("select count(*)::int as count from agent_steps where key <> 'turn'")
  const books = states.map(({ agent_id, state }) => [agent_id as string, JSON.parse(state as string) as Book] as const)
  return {
    opening,
    orders,
    books: new Map(books.filter(([name]) => accounts.includes(name))),
    deliveries: deliveries as unknown as Facts['deliveries'],
    jobs: jobs as unknown as Facts['jobs'],
    stepsLeft: Number(left?.count),
    effects: existsSync(file) ? await readEffects(file) : [],
  }
}

async function readEffects(file: string): Promise<Effect[]> {
  const lines = (await readFile(file, 'utf8')).split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
}
