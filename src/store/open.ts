import { isAbsolute, relative } from 'node:path'
import { ActorError } from '../core/errors.ts'
import { type EmbeddedEvent, openEmbedded } from './embedded.ts'
import { relations, storeFunctions } from './functions.ts'
import { generateServiceKey } from './keys.ts'
import { latestVersion, type Migration, type MigrationReport, readMigrations, requireMigrated } from './migrate.ts'
import { openPostgres, requireRights } from './postgres.ts'
import type { QueryAnswer, SqlAccess, Store, StoreKind } from './store.ts'
import { createSupabaseStore, type Fetch } from './supabase.ts'
import { type StoreTarget, storeTarget } from './target.ts'
import type { ThreadStore } from './thread-store.ts'

export interface OpenOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where the embedded store's database lives. */
  readonly folder?: string
  /** Where to serve the embedded store on 127.0.0.1; any free port when absent. */
  readonly port?: number
  /** It is here to stay, and should have the embedded store's folder itself. */
  readonly stays?: boolean
  /** A folder of migrations other than the ones that come with this version. */
  readonly migrations?: string
  readonly onEvent?: (event: EmbeddedEvent) => void
}

/** What a store is made over, with the ways to its database that people and migrations need. */
export interface Backend extends SqlAccess {
  readonly kind: StoreKind
  /** For people; holds no secret. */
  readonly where: string
  readonly url: string
  readonly key: string
  readonly fetch: Fetch | undefined
  /** Whether query() can work: a hosted project needs DATABASE_URL for it. */
  readonly offersSql: boolean
  /** The schema version that this build was made for. */
  readonly schema: string
  /** Brings the schema up to date, or finds that it is. */
  migrate(): Promise<Extract<MigrationReport, { kind: 'migrated' }>>
  close(): Promise<void>
}

const defaultFolder = '.troupe'

/**
 * Opens what the environment asks for. The embedded store is migrated here, being ours alone. A server is not: several
 * containers may run different versions, so its schema changes by `troupe db migrate` only, and health() says when that is due.
 */
export async function openBackend(options: OpenOptions): Promise<Backend> {
  const target = storeTarget(options.env)
  const migrations = await readMigrations(options.migrations)
  switch (target.kind) {
    case 'hosted':
      return hostedBackend(target, migrations)
    case 'postgres': {
      const thread = await openPostgres(target.url)
      return {
        ...overServer(thread, migrations),
        kind: 'postgres',
        where: withoutSecrets(target.url),
        url: inProcess,
        key: generateServiceKey(),
      }
    }
    case 'embedded':
      return await embeddedBackend(options, target.key, migrations)
  }
}

/** Makes the store over a backend, which the store then owns. */
export function storeOver({ kind, url, key, fetch, schema, close }: Backend): Store {
  return createSupabaseStore({ functions: storeFunctions, relations, kind, url, key, schema, onClose: close, ...(fetch ? { fetch } : {}) })
}

/** Opens the store that the environment asks for. */
export async function openStore(options: OpenOptions): Promise<Store> {
  return storeOver(await openBackend(options))
}

// Never looked up: the store's fetch goes to a thread.
const inProcess = 'http://store.invalid'

async function embeddedBackend(options: OpenOptions, key: string | undefined, migrations: readonly Migration[]): Promise<Backend> {
  const { folder = defaultFolder, port, stays, onEvent } = options
  const store = await openEmbedded({ folder, migrations, key, port, stays, onEvent })
  const schema = latestVersion(migrations)
  return {
    kind: 'embedded',
    get where() {
      const { role, holder } = store
      return `${shortened(folder)}, ${role === 'owner' ? 'served' : `joined through process ${holder.pid}`} at ${holder.url}`
    },
    url: store.holder.url,
    key: store.holder.key,
    fetch: store.fetch,
    offersSql: true,
    schema,
    query: store.query,
    migrate: () => Promise.resolve({ kind: 'migrated', applied: store.applied, version: schema }),
    close: store.close,
  }
}

function hostedBackend({ url, key, databaseUrl }: Extract<StoreTarget, { kind: 'hosted' }>, migrations: readonly Migration[]): Backend {
  let opened: Promise<ThreadStore> | undefined
  const database = (): Promise<ThreadStore> => {
    if (!databaseUrl) {
      const message = 'A hosted project offers no plain SQL: set DATABASE_URL to the connection string of its database, beside SUPABASE_URL'
      return Promise.reject(new ActorError('CONFIG_INVALID', message))
    }
    opened ??= openPostgres(databaseUrl).catch((error: unknown) => {
      opened = undefined // it may be let in later
      throw error
    })
    return opened
  }
  return {
    kind: 'hosted',
    where: url,
    url,
    key,
    fetch: undefined,
    offersSql: databaseUrl !== undefined,
    schema: latestVersion(migrations),
    query: async (sql, options): Promise<QueryAnswer> => (await database()).query(sql, options),
    migrate: async () => requireMigrated(await (await database()).migrate(migrations)),
    close: async () => (await opened?.catch(() => undefined))?.close(),
  }
}

function overServer(thread: ThreadStore, migrations: readonly Migration[]) {
  return {
    fetch: thread.fetch,
    offersSql: true,
    schema: latestVersion(migrations),
    query: thread.query,
    async migrate() {
      const report = requireMigrated(await thread.migrate(migrations))
      await requireRights(thread) // the first migration may have made the role
      return report
    },
    close: thread.close,
  }
}

/** As people would write it. */
function shortened(folder: string): string {
  const path = relative(process.cwd(), folder)
  return path === '' || path.startsWith('..') || isAbsolute(path) ? folder : path
}

/** The address without user, password and parameters. */
function withoutSecrets(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
