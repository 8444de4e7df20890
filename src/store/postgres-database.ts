import type { Sql } from 'postgres'
import { type Database, jsonValue } from './database.ts'

/** A PostgreSQL server as a database. `connect` opens a single connection that is the caller's to end. */
export function postgresDatabase(connect: () => Sql, width: number): Database {
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
