import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ActorError } from '../core/errors.ts'
import { sqlFailure } from './sql-failure.ts'

/** One file of supabase/migrations. */
export interface Migration {
  /** The 14 digits in front of the name, by which migrations are ordered. */
  readonly version: string
  readonly name: string
  readonly sql: string
}

export type MigrationReport =
  | { readonly kind: 'migrated'; readonly applied: readonly string[]; readonly version: string }
  | { readonly kind: 'newer'; readonly found: string }

/** Throws when the database is one that only a newer Troupe understands. */
export function requireMigrated(report: MigrationReport): Extract<MigrationReport, { kind: 'migrated' }> {
  if (report.kind === 'migrated') return report
  throw new ActorError(
    'CONFIG_INVALID',
    `The database has the newer schema ${report.found}: start the version of Troupe that made it, or a later one`,
  )
}

/** What migrating needs of a database: statements inside one transaction. */
export interface Transaction {
  /** Runs one or more statements; the rows of the last. */
  run(sql: string, parameters?: readonly unknown[]): Promise<readonly Readonly<Record<string, unknown>>[]>
}

/** The migrations that come with this version of Troupe. */
export const migrationsFolder = fileURLToPath(new URL('../../supabase/migrations/', import.meta.url))

/** Reads a folder of migrations, named as the Supabase CLI names them, in their order. */
export async function readMigrations(folder: string = migrationsFolder): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => /^\d{14}_.+\.sql$/.test(file)).sort()
  if (files.length === 0) throw new ActorError('CONFIG_INVALID', `No migrations in ${folder}: expected <14 digits>_<name>.sql`)
  return await Promise.all(
    files.map(async (file) => ({
      version: file.slice(0, 14),
      name: file.slice(15, -4),
      sql: await readFile(join(folder, file), 'utf8'),
    })),
  )
}

/** The version that a database has once all of these are applied. */
export function latestVersion(migrations: readonly Migration[]): string {
  return migrations.at(-1)?.version ?? ''
}

/** Which migrations a ledger lacks. Its other versions are somebody else's: a project may have migrations of its own. */
export function missingFrom(applied: readonly string[], known: readonly Migration[]): Migration[] {
  return known.filter(({ version }) => !applied.includes(version))
}

/** The ledger is the Supabase CLI's own, so that `supabase db push` and we agree on what is done. */
const openLedger = `
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[], add column if not exists name text;`

/** So that a process that does not own the database may see what is applied. */
const shareLedger = `
grant usage on schema supabase_migrations to service_role;
grant select on supabase_migrations.schema_migrations to service_role;`

/** Whoever changes the schema holds this advisory lock. Any number that nobody else uses: "troupe" in ASCII. */
export const lockKey = '128034845061221'

/** Applies what is missing, all of it or nothing. Of several processes that try at once, one does it and the others find it done. */
export async function applyMigrations(transaction: Transaction, migrations: readonly Migration[]): Promise<MigrationReport> {
  // A migration must not queue behind somebody's long transaction while everybody else queues behind the migration.
  await transaction.run(`set local lock_timeout = '60s'; select pg_advisory_xact_lock(${lockKey})`)
  await transaction.run(openLedger)
  const found = await schemaVersion(transaction)
  if (found > latestVersion(migrations)) return { kind: 'newer', found }
  const applied = await transaction.run('select version from supabase_migrations.schema_migrations order by version')
  const missing = missingFrom(
    applied.map(({ version }) => String(version)),
    migrations,
  )
  for (const { version, name, sql } of missing) {
    await transaction.run(sql).catch((error: unknown) => {
      const { message, ...rest } = sqlFailure(error)
      throw Object.assign(new Error(`Migration ${version}_${name}: ${message}`, { cause: error }), rest)
    })
    // Two texts instead of an array: the drivers disagree on how a parameter becomes one.
    await transaction.run(
      'insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, array[$3::text])',
      [version, name, sql],
    )
  }
  if (missing.length > 0) await transaction.run(`${shareLedger} notify pgrst, 'reload schema'`)
  return { kind: 'migrated', applied: missing.map(({ version, name }) => `${version}_${name}`), version: latestVersion(migrations) }
}

/** The version that the schema itself tells; empty before it is there. */
async function schemaVersion(transaction: Transaction): Promise<string> {
  const [row] = await transaction.run("select to_regprocedure('public.schema_version()') is not null as is_there")
  if (row?.is_there !== true) return ''
  const [told] = await transaction.run('select public.schema_version() as version')
  return String(told?.version ?? '')
}
