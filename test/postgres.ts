import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { type Client, connectTo, databaseUrl, dropDatabases, grantLikeOldSupabase, withClient } from './postgres-setup.ts'

type ClientOptions = { role?: 'anon' | 'authenticated' | 'service_role'; max?: number }

/** A database that one test has for itself; disposing of it ends its clients and drops it. */
export type Database = AsyncDisposable & {
  url: string
  sql: Client
  /** Opens a further client with connections of its own, if wished as another role. */
  connect: (options?: ClientOptions) => Client
}

/**
 * Creates a database with the schema in it. `legacyGrants`: prepared like an old Supabase project, where every new
 * table is granted to anon and authenticated. `migrate: false`: without the schema. `max`: connections of `sql`.
 */
export async function freshDatabase({ migrate = true, legacyGrants = false, max = 10 } = {}): Promise<Database> {
  const { url: server, template, legacyTemplate } = inject('postgres')
  const name = `troupe_test_${randomUUID().replaceAll('-', '')}`
  const source = migrate ? (legacyGrants ? legacyTemplate : template) : 'template0'
  await withClient(server, (sql) => sql.unsafe(`create database ${name} template ${source}`))

  const url = databaseUrl(server, name)
  if (legacyGrants && !migrate) await withClient(url, grantLikeOldSupabase)
  const clients: Client[] = []
  const connect = (options: ClientOptions = {}) => {
    const client = connectTo(url, options)
    clients.push(client)
    return client
  }
  return {
    url,
    sql: connect({ max }),
    connect,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(clients.map((client) => client.end({ timeout: 1 })))
      await withClient(server, (sql) => dropDatabases(sql, [name]))
    },
  }
}
