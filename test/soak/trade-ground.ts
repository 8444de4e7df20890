import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Holder } from '../../src/store/folder.ts'
import { openBackend, storeOver } from '../../src/store/open.ts'
import { createRemote } from '../../src/store/remote.ts'
import { makeDatabase } from '../embedded-folder.ts'
import { connectTo } from '../postgres-setup.ts'
import type { Query, Row } from './ground.ts'
import { makeProject } from './project.ts'
import { limits, marketOf } from './trade-feed.ts'

/** A project with traders in it, on a store of its own. */
export type TradeGround = AsyncDisposable & {
  readonly kind: 'embedded' | 'postgres'
  readonly project: string
  readonly env: Readonly<Record<string, string>>
  /** Asks the store while the traders run; fails while it does not answer. */
  readonly query: Query
  /** Does something to the store while no process runs: publishes, or reads everything. */
  alone<Result>(use: (store: Alone) => Promise<Result>): Promise<Result>
}

type Alone = { readonly query: Query; publish(opportunities: readonly object[]): Promise<void> }

export const traders = 4
const leases = { agents: 2_000, jobs: 4_000 }

/** Positions are sold at their second look, whatever they are worth: a run without an exit says nothing of profit. */
function configOf(seed: number): object {
  const args = { market: marketOf(seed), bankroll: 1_000_000, markInterval: 300, exits: { maxAge: 0 } }
  const agents = [{ id: 'trader', type: 'trader', replicas: traders, args, maxAttempts: 50 }]
  return { name: 'trades', leases, teams: [{ id: 'trades', intensity: { max: 10_000, within: '60s' }, agents }] }
}

/** Opens one; with the address of a database that has the schema on PostgreSQL, else on the embedded store. */
export async function openTradeGround(seed: number, url?: string): Promise<TradeGround> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-trades-'))
  const project = join(folder, 'trades')
  await makeProject(project, configOf(seed))
  await cp(join(import.meta.dirname, '../../actors'), join(project, 'actors'), { recursive: true })
  const env = url === undefined ? {} : { DATABASE_URL: url }
  const sql = url === undefined ? undefined : connectTo(url, { max: 2 })
  const inFolder = join(project, '.troupe')
  if (url === undefined) await makeDatabase(inFolder)
  return {
    kind: url === undefined ? 'embedded' : 'postgres',
    project,
    env,
    async query(text) {
      if (sql) return await sql.unsafe(text)
      const holder: Holder = JSON.parse(await readFile(join(inFolder, 'run.json'), 'utf8'))
      return rowsOf(await createRemote(holder).query(text, { timeout: 10_000 }))
    },
    async alone(use) {
      const backend = await openBackend({ env, folder: inFolder })
      await using store = storeOver(backend)
      const query: Query = async (text) => rowsOf(await backend.query(text))
      const publish = async (given: readonly object[]) => {
        for (const [key, value] of Object.entries(limits))
          await query(`update system_config set value = '${JSON.stringify(value)}' where key = '${key}'`)
        for (const one of given) await store.call('publish_opportunity', { p_args: one as never })
      }
      return await use({ query, publish })
    },
    async [Symbol.asyncDispose]() {
      await sql?.end({ timeout: 1 })
      await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

function rowsOf({ columns, rows }: { readonly columns: readonly string[]; readonly rows: readonly (readonly unknown[])[] }): Row[] {
  return rows.map((values) => Object.fromEntries(columns.map((name, index) => [name, values[index]])))
}
