import type { PGliteInterface } from '@electric-sql/pglite'
import { type Database, jsonValue } from './database.ts'
import { planUpkeep, readUpkeep, type UpkeepState } from './upkeep.ts'

/** PGlite as a database: one session, so one request at a time (lite does not isolate them: rows were lost, roles mixed). */
export function pgliteDatabase(driver: PGliteInterface & { isInTransaction(): boolean }): Database {
  // What the session has prepared: planning a call takes as long as the call.
  const prepared = new Set<string>()

  return {
    width: 1,
    async query(sql) {
      try {
        const results = await driver.exec(sql, { rowMode: 'array' })
        if (driver.isInTransaction()) throw new Error('The transaction was left open, so it was rolled back: end it in the same call')
        const { fields = [], rows = [] } = results.at(-1) ?? {}
        return { columns: fields.map(({ name }) => name), rows: (rows as unknown[][]).map((row) => row.map(jsonValue)) }
      } finally {
        // Everybody's requests run in this session: a role or a setting left behind would be theirs too.
        if (driver.isInTransaction()) await driver.exec('rollback')
        await driver.exec('discard all')
        prepared.clear()
      }
    },
    async callBatch({ name, batch }) {
      if (!prepared.has(name)) await driver.exec(`prepare call_${name}(jsonb) as select public.${name}(p_batch => $1)::text as answer`)
      prepared.add(name)
      // All in one message: each one by itself goes through WebAssembly and back.
      const call = `begin; set local role service_role; execute call_${name}('${batch.replaceAll("'", "''")}'); commit`
      try {
        const [row] = (await driver.exec(call)).flatMap(({ rows }) => rows)
        return String(row?.answer ?? null)
      } finally {
        if (driver.isInTransaction()) await driver.exec('rollback')
      }
    },
    transaction: (work) =>
      driver.transaction((session) =>
        work({
          async run(sql, parameters) {
            if (parameters) return (await session.query<Record<string, unknown>>(sql, [...parameters])).rows
            return ((await session.exec(sql)).at(-1)?.rows ?? []) as Record<string, unknown>[]
          },
        }),
      ),
    async dueUpkeep() {
      const { rows } = await driver.query<{ wal: number; tables: UpkeepState['tables'] }>(readUpkeep)
      return rows.flatMap(({ wal, tables }) => planUpkeep({ walBytes: wal, tables }))
    },
    isFatal: (error) => driver.closed || (error instanceof Error && error.name === 'RuntimeError'), // WebAssembly's
  }
}
