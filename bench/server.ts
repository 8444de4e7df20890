import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import postgres, { type Sql } from 'postgres'
import { readMigrations } from '../src/store/migrate.ts'
import { say } from './report.ts'

/** A PostgreSQL server and the databases that a benchmark makes on it. */
export interface Server extends AsyncDisposable {
  url: string
  /** Makes a database with the schema, or a copy of another one, and gives its address. */
  createDatabase(copyOf?: string): Promise<string>
}

const run = promisify(execFile)
const launcher = fileURLToPath(new URL('../.ci/postgres', import.meta.url))

/** Uses the server of TROUPE_TEST_DATABASE_URL, or starts one. */
export async function openServer(): Promise<Server> {
  const given = process.env.TROUPE_TEST_DATABASE_URL
  const { url, stop } = given ? { url: given, stop: () => Promise.resolve() } : await startServer()
  const made: string[] = []
  return {
    url,
    async createDatabase(copyOf) {
      const name = `troupe_bench_${randomUUID().replaceAll('-', '')}`
      await withSession(url, (sql) => sql.unsafe(`create database ${name} template ${copyOf ? nameOf(copyOf) : 'template0'}`))
      made.push(name)
      const address = new URL(url)
      address.pathname = name
      if (!copyOf) await withSession(address.href, migrate)
      return address.href
    },
    async [Symbol.asyncDispose]() {
      await withSession(url, async (sql) => {
        for (const name of made) await sql.unsafe(`drop database if exists ${name} with (force)`)
      })
      await stop()
    },
  }
}

/** Opens a connection for one piece of work. */
export async function withSession<Result>(url: string, work: (sql: Sql) => Promise<Result>): Promise<Result> {
  const sql = openSession(url)
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

export function openSession(url: string): Sql {
  return postgres(url, { max: 1, onnotice: () => {} })
}

async function migrate(sql: Sql): Promise<void> {
  for (const migration of await readMigrations()) await sql.unsafe(migration.sql)
}

async function startServer(): Promise<{ url: string; stop: () => Promise<void> }> {
  say('starting a PostgreSQL server')
  const { stdout } = await run(launcher, ['start']).catch((cause: unknown) => {
    throw new Error('No PostgreSQL: set TROUPE_TEST_DATABASE_URL to one (superuser), or install its server for .ci/postgres', { cause })
  })
  const exported = Object.fromEntries(
    [...stdout.matchAll(/(?<name>TROUPE_\w+)=(?<value>\S+)/g)].map(({ 1: name, 2: value }) => [name, value]),
  )
  return {
    url: String(exported.TROUPE_TEST_DATABASE_URL),
    stop: async () => {
      await run(launcher, ['stop'], { env: { ...process.env, ...exported } })
    },
  }
}

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1)
}
