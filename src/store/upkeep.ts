/**
 * PGlite runs PostgreSQL in single-user mode: no checkpointer and no autovacuum. Left alone, the write-ahead log grows for
 * ever (850 MB after 200,000 rows) and updated rows are never cleared away, so the store thread does both.
 */
export interface UpkeepState {
  /** Bytes of write-ahead log since the last checkpoint. */
  readonly walBytes: number
  readonly tables: ReadonlyArray<{ readonly name: string; readonly live: number; readonly dead: number; readonly changed: number }>
}

/** Gives the counters that {@link planUpkeep} decides on; names come quoted. */
export const readUpkeep = `
select (pg_current_wal_insert_lsn() - (select redo_lsn from pg_control_checkpoint()))::float8 as wal,
  (select coalesce(jsonb_agg(jsonb_build_object(
     'name', format('%I.%I', schemaname, relname), 'live', n_live_tup, 'dead', n_dead_tup, 'changed', n_mod_since_analyze)), '[]')
   from pg_stat_user_tables) as tables`

const walLimit = 32 * 1024 * 1024
const fewRows = 500

/** The statements that are due. A table at a time: between two, requests get their turn. */
export function planUpkeep({ walBytes, tables }: UpkeepState): string[] {
  const due = tables.filter(({ live, dead, changed }) => dead > fewRows + live * 0.1 || changed > fewRows + live * 0.2)
  const vacuum = due.map(({ name }) => `vacuum (analyze) ${name}`)
  return walBytes > walLimit ? [...vacuum, 'checkpoint'] : vacuum
}
