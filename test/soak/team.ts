import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '../../src/core/events.ts'
import { createTroupe } from '../../src/host/troupe.ts'
import type { Troupe } from '../../src/host/troupe-types.ts'
import type { ConfigInput } from '../../src/sources/schema.ts'
import { openBackend, storeOver } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { buildTemplate, databaseUrl, dropDatabases, withClient } from '../postgres-setup.ts'

const root = join(import.meta.dirname, '../..')

export type StoreName = 'embedded' | 'postgres'

/** A team in this process, on a store of its own that is gone in the end. */
export type SoakTeam = AsyncDisposable & {
  readonly troupe: Troupe
  readonly store: Store
  query(sql: string): Promise<readonly (readonly unknown[])[]>
  /** Resolves with the next event of that name that fits; nothing of the past is kept. */
  next<Name extends Event['name']>(
    name: Name,
    fits?: (event: Extract<Event, { name: Name }>) => boolean,
  ): Promise<Extract<Event, { name: Name }>>
}

type TeamOptions = { readonly store: StoreName; readonly agents: ConfigInput['teams'][number]['agents']; readonly patience?: number }

export async function openTeam({ store: kind, agents, patience = 60_000 }: TeamOptions): Promise<SoakTeam> {
  await using made = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'troupe-soak-'))
  made.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const env = kind === 'postgres' ? { DATABASE_URL: await makeDatabase(made) } : {}
  const backend = await openBackend({ env, folder })
  const store = storeOver(backend)
  made.defer(store.close)
  const listeners = new Set<(event: Event) => void>()
  const troupe = createTroupe({
    config: { teams: [{ id: 'team', intensity: { max: 1_000_000 }, agents }] },
    root,
    actors: join(root, 'test/runtime/actors'),
    env: {},
    folder,
    store,
    watches: false,
    onEvent(event) {
      for (const listener of listeners) listener(event)
    },
  })
  made.defer(() => troupe.stop({ grace: 5_000 }))
  await troupe.start()
  const all = made.move()
  return {
    troupe,
    store,
    query: async (sql) => (await backend.query(sql)).rows,
    next(name, fits = () => true) {
      type Wanted = Extract<Event, { name: typeof name }>
      const { promise, resolve, reject } = Promise.withResolvers<Wanted>()
      const listener = (event: Event) => event.name === name && fits(event as Wanted) && resolve(event as Wanted)
      const timer = setTimeout(() => reject(new Error(`No "${name}" within ${patience} ms`)), patience)
      listeners.add(listener)
      return promise.finally(() => {
        clearTimeout(timer)
        listeners.delete(listener)
      })
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** Makes a database on the server for tests. */
async function makeDatabase(made: AsyncDisposableStack): Promise<string> {
  const server = process.env.TROUPE_TEST_DATABASE_URL
  if (!server) throw new Error('PostgreSQL is not there: eval "$(.ci/postgres start)", or set TROUPE_TEST_DATABASE_URL (superuser)')
  const name = `troupe_soak_${process.pid}_${Date.now()}`
  made.defer(() => withClient(server, (sql) => dropDatabases(sql, [name])))
  await withClient(server, (sql) => buildTemplate(sql, server, name))
  return databaseUrl(server, name)
}
