import type { Backend } from './open.ts'

/** What is in the database, in short. */
export interface Summary {
  readonly postgres: string
  /** Counts are capped: "1000+" is as good as the exact number, and a table may have millions of rows. */
  readonly tables: ReadonlyArray<{ readonly name: string; readonly rows: string }>
}

const cap = 1_000

/** Reads the summary; undefined for a hosted project without DATABASE_URL, which offers no plain SQL. */
export async function readSummary(backend: Pick<Backend, 'query' | 'offersSql'>): Promise<Summary | undefined> {
  if (!backend.offersSql) return undefined
  const version = await backend.query("select split_part(current_setting('server_version'), ' ', 1)")
  const found = await backend.query(`select quote_ident(tablename) from pg_tables where schemaname = 'public' order by tablename`)
  const names = found.rows.map(([name]) => String(name))
  const counts = names.map((name) => `(select count(*) from (select from public.${name} limit ${cap + 1}) as capped)`)
  const [row = []] = names.length > 0 ? (await backend.query(`select ${counts.join()}`)).rows : []
  const rows = (at: number) => (Number(row[at]) > cap ? `${cap}+` : String(row[at]))
  return { postgres: String(version.rows[0]?.[0]), tables: names.map((name, at) => ({ name, rows: rows(at) })) }
}
