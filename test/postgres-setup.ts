import { randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    postgres: { url: string; template: string; legacyTemplate: string }
  }
}

export type Client = postgres.Sql

const migrations = join(import.meta.dirname, '../supabase/migrations')

/** Vitest's globalSetup of the pg suites: loads the schema once into two databases, of which each test gets a copy. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const url = process.env.TROUPE_TEST_DATABASE_URL
  if (!url) throw new Error('The pg suites need a PostgreSQL: eval "$(.ci/postgres start)", or set TROUPE_TEST_DATABASE_URL (superuser)')

  const run = randomUUID().slice(0, 8)
  const template = `troupe_template_${run}`
  const legacyTemplate = `troupe_legacy_${run}`
  const teardown = () => withClient(url, (server) => dropDatabases(server, [template, legacyTemplate]))
  // The plain one first: on a new server its migrations are the ones that must create the roles.
  await withClient(url, async (server) => {
    await server`select pg_advisory_lock(hashtext('troupe test templates'))` // roles belong to the server, not to one run
    await buildTemplate(server, url, template)
    await buildTemplate(server, url, legacyTemplate, grantLikeOldSupabase)
  }).catch(async (error) => {
    await teardown() // Vitest calls it only after a setup that succeeded
    throw error
  })
  project.provide('postgres', { url, template, legacyTemplate })
  return teardown
}

/** Prepares a database as Supabase set up its projects before new tables ceased to be granted to everybody. */
export async function grantLikeOldSupabase(sql: Client): Promise<void> {
  for (const [role, attributes] of Object.entries({ anon: '', authenticated: '', service_role: 'bypassrls' })) {
    await sql.unsafe(
      `do $$ begin create role ${role} nologin ${attributes}; exception when duplicate_object or unique_violation then null; end $$`,
    )
  }
  await sql.unsafe('grant usage on schema public to anon, authenticated, service_role')
  for (const objects of ['tables', 'functions', 'sequences']) {
    await sql.unsafe(`alter default privileges in schema public grant all on ${objects} to anon, authenticated, service_role`)
  }
}

/** Opens a client; its sessions act as `role` from the start, `reset role` included. */
export function connectTo(url: string, { role, max = 10 }: { role?: string; max?: number } = {}): Client {
  return postgres(url, {
    max,
    backoff: () => 0.5,
    onnotice: () => {},
    connection: { application_name: 'troupe-test', ...(role && { role }) },
  })
}

/** Runs `use` with a client of one connection and closes it. */
export async function withClient<Result>(url: string, use: (sql: Client) => Promise<Result>): Promise<Result> {
  const sql = connectTo(url, { max: 1 })
  try {
    return await use(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** Returns the address of another database on the same server. */
export function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = name
  return url.href
}

/** Drops databases, whoever is still connected to them. */
export async function dropDatabases(server: Client, names: readonly string[]): Promise<void> {
  for (const name of names) await server.unsafe(`drop database if exists ${name} with (force)`)
}

/** Creates a database with the schema in it. */
export async function buildTemplate(server: Client, url: string, name: string, prepare?: (sql: Client) => Promise<void>): Promise<void> {
  await server.unsafe(`create database ${name} template template0`)
  await withClient(databaseUrl(url, name), async (sql) => {
    await prepare?.(sql)
    for (const file of (await readdir(migrations)).filter((file) => file.endsWith('.sql')).sort()) await applyMigration(sql, file)
  })
}

async function applyMigration(sql: Client, file: string): Promise<void> {
  const text = await readFile(join(migrations, file), 'utf8')
  await sql.unsafe(text).catch((cause: postgres.PostgresError) => {
    const line = text.slice(0, Number(cause.position ?? 0)).split('\n').length
    throw new Error(`${file}:${line} ${cause.message}`, { cause })
  })
}
