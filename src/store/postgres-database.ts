import type { Sql } from 'postgres'
import { type Database, jsonValue } from './database.ts'
import { longestPause } from './merge-settings.ts'

export interface PostgresDatabaseOptions {
  /** Opens a single connection that is the caller's to end. */
  readonly connect: () => Sql
  /** Takes a session of the pool, which is to be given back. */
  readonly reserve: Sql['reserve']
  readonly width: number
}

/** A process that is frozen in the middle of a call must not keep its locks. */
const begin = `begin; set local role service_role; set local idle_in_transaction_session_timeout = '${longestPause}'`

/** A PostgreSQL server as a database. */
export function postgresDatabase({ connect, reserve, width }: PostgresDatabaseOptions): Database {
  async function alone<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const sql = connect()
    try {
      return await work(sql)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
  return {
    width,
    query: (text) =>
      alone(async (sql) => {
        const results = (await sql.unsafe(text).values()) as unknown as Result | Result[]
        // One statement answers its rows, several an array of such answers.
        const last = 'columns' in results ? results : (results as Result[]).at(-1)
        return { columns: last?.columns?.map(({ name }) => name) ?? [], rows: [...(last ?? [])].map((row) => row.map(jsonValue)) }
      }),
    async callBatch({ name, batch }) {
      const session = await reserve()
      try {
        // Sent together, so that nobody waits in between; when one fails, those behind it do nothing.
        const [, rows] = await Promise.all([
          session.unsafe(begin),
          session.unsafe<{ answer: string | null }[]>(`select public.${name}(p_batch => $1::jsonb)::text as answer`, [batch], {
            prepare: true,
          }),
          session.unsafe('commit'),
        ])
        return String(rows[0]?.answer ?? null)
      } finally {
        session.release()
      }
    },
    transaction: (work) =>
      alone(
        async (sql) =>
          (await sql.begin((session) =>
            work({
              async run(text, parameters) {
                const results = await session.unsafe(text, parameters ? ([...parameters] as string[]) : [])
                return [...results] as Record<string, unknown>[]
              },
            }),
          )) as never,
      ),
    dueUpkeep: () => Promise.resolve([]), // the server's autovacuum does it
    isFatal: () => false,
  }
}

type Result = unknown[][] & { columns?: ReadonlyArray<{ name: string }> }
