import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ActorError } from '../core/errors.ts'
import { abortable } from './abortable.ts'
import { claimFolder, enterFolder, type FolderLock, type Holder, isHeld, readHolder } from './folder.ts'
import { generateServiceKey } from './keys.ts'
import { type Migration, requireMigrated } from './migrate.ts'
import { createRemote, isAlive } from './remote.ts'
import { serveStore } from './serve.ts'
import type { SqlAccess } from './store.ts'
import { storeError } from './store-error.ts'
import type { Fetch } from './supabase.ts'
import { ThreadFailure } from './thread-session.ts'
import { openThreadStore, type ThreadEvent } from './thread-store.ts'

export interface EmbeddedOptions {
  /** Where the database lives. */
  readonly folder: string
  readonly migrations: readonly Migration[]
  /** The service key that others need; generated when absent. */
  readonly key?: string | undefined
  /** Where to serve on 127.0.0.1; any free port when absent. */
  readonly port?: number | undefined
  /** How long to wait for a process that has the folder but does not answer. */
  readonly patience?: number | undefined
  /** It is here to stay: as a guest it takes the folder as soon as that is free, before anybody who comes for a moment. */
  readonly stays?: boolean | undefined
  readonly hangAfter?: number | undefined
  readonly onEvent?: ((event: EmbeddedEvent) => void) | undefined
}

/** For logs and tests. `refused`: the holder is gone, but its place cannot be taken; told once for each reason. */
export type EmbeddedEvent = ThreadEvent | { readonly kind: 'refused'; readonly error: Error }

/**
 * The database in a folder: opened here, or joined through the process that has it. When that process ends, the first of its
 * guests takes the folder over.
 */
export interface EmbeddedStore extends SqlAccess {
  readonly fetch: Fetch
  /** `owner`: the database runs in this process. */
  readonly role: 'owner' | 'guest'
  /** Where any Supabase client reaches the database, and with which key. */
  readonly holder: Holder
  /** The migrations that opening it has applied. */
  readonly applied: readonly string[]
  /** Ends the store thread as a crash would. */
  kill(): void
  close(): Promise<void>
}

interface Role extends SqlAccess {
  readonly kind: 'owner' | 'guest'
  readonly holder: Holder
  readonly applied: readonly string[]
  readonly fetch: Fetch
  kill(): void
  close(): Promise<void>
}

/** The PostgreSQL inside this version's PGlite, and an empty database of it. */
const postgresMajor = '18'
const archive = fileURLToPath(new URL(`../../supabase/embedded/pg${postgresMajor}.tar.zst`, import.meta.url))
const defaultPatience = 10_000
/** Ms between two looks of a guest that stays. */
const watchEvery = 250

/** Opens or joins the database in a folder, makes it when there is none, migrates it, and serves it to later processes. */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedStore> {
  const claim = options.stays ? claimFolder(options.folder) : undefined
  let role = await takeRole(options).catch((error) => {
    claim?.end()
    throw error
  })
  let retaking: Promise<void> | undefined
  /** Why the last attempt to take the holder's place came to nothing. */
  let refusal: Error | undefined
  let isClosed = false

  /** After the holder's death: in its place, or a guest of whoever was faster. */
  async function retake(lost: Role): Promise<void> {
    if (role !== lost || isClosed) return
    const next = await takeRole(options).catch(refused)
    if (next === undefined) return // the next failed request comes here again
    refusal = undefined
    if (isClosed) return await next.close()
    role = next
    settle()
  }

  function beginRetake(lost: Role): void {
    retaking ??= retake(lost).finally(() => {
      retaking = undefined
    })
  }

  /** Whoever has the folder waits for it no more. */
  function settle(): void {
    if (role.kind !== 'owner') return
    clearInterval(watch)
    claim?.end()
  }

  /** Without this its next request would find the holder gone; what cannot be taken is left to those, which come less often. */
  function look(): void {
    if (role.kind === 'guest' && refusal === undefined && !isHeld(options.folder)) beginRetake(role)
  }

  function refused(error: Error): undefined {
    if (error.message !== refusal?.message) options.onEvent?.({ kind: 'refused', error })
    refusal = error
  }

  /** What a request of a guest fails with; that nobody answers is not the whole story once it is known why nobody does. */
  function failure(error: unknown, { holder }: Role): unknown {
    if (refusal === undefined) return error
    const message = `The store at ${holder.url} does not answer, and its folder cannot be taken over`
    return storeError(message, { kind: 'unavailable', code: '' }, refusal)
  }

  async function current(signal: AbortSignal | undefined | null): Promise<Role> {
    if (retaking !== undefined) await abortable(retaking, signal)
    return role
  }

  async function withRole<T>(work: (role: Role) => Promise<T>, signal: AbortSignal | undefined | null): Promise<T> {
    const used = await current(signal)
    try {
      const answer = await work(used)
      refusal = undefined
      return answer
    } catch (error) {
      if (used.kind === 'owner' || signal?.aborted || (await isAlive(used.holder))) throw error
      const failed = failure(error, used)
      beginRetake(used)
      throw failed
    }
  }

  const watch = claim && setInterval(look, watchEvery).unref()
  settle()

  return {
    fetch: (input, init) => withRole((used) => used.fetch(input, init), init?.signal),
    query: (sql, queryOptions) => withRole((used) => used.query(sql, queryOptions), queryOptions?.signal),
    get role() {
      return role.kind
    },
    get holder() {
      return role.holder
    },
    get applied() {
      return role.applied
    },
    kill: () => role.kill(),
    async close() {
      isClosed = true
      clearInterval(watch)
      claim?.end()
      await retaking
      await role.close()
    },
  }
}

async function takeRole(options: EmbeddedOptions): Promise<Role> {
  const { folder, patience = defaultPatience, stays = false } = options
  const entry = await enterFolder(folder, { patience, isAlive, stays })
  switch (entry.kind) {
    case 'owner':
      return await own(entry.lock, options)
    case 'guest':
      return {
        kind: 'guest',
        holder: entry.holder,
        applied: [],
        ...createRemote(entry.holder),
        kill: () => {},
        close: () => Promise.resolve(),
      }
    case 'held': {
      const holder = entry.holder ? `process ${entry.holder.pid} (${entry.holder.url})` : 'a process that has not announced itself'
      throw storeError(`${folder} is held by ${holder}, which does not answer: end it, or use another folder`, {
        kind: 'unavailable',
        code: '',
      })
    }
  }
}

async function own(
  lock: FolderLock,
  { folder, migrations, key = generateServiceKey(), port = 0, hangAfter, onEvent }: EmbeddedOptions,
): Promise<Role> {
  await using undo = new AsyncDisposableStack()
  undo.defer(() => lock.release())
  await refuseOtherMajor(folder)
  const store = await openThreadStore({
    target: { kind: 'pglite', folder, archive },
    ...(hangAfter ? { hangAfter } : {}),
    ...(onEvent ? { onEvent } : {}),
  }).catch((cause) => {
    const reason = cause instanceof ThreadFailure ? cause.message : String(cause)
    throw storeError(`The database in ${folder} cannot be opened: ${reason}`, { kind: 'unavailable', code: '' }, cause)
  })
  undo.defer(() => store.close())
  const { applied } = requireMigrated(await store.migrate(migrations))
  const server = await serveStore({ fetch: store.fetch, sql: store, key, port })
  undo.defer(() => server.close())
  const holder = { pid: process.pid, url: server.url, key }
  await lock.announce(holder)
  const opened = undo.move()
  return { kind: 'owner', holder, applied, fetch: store.fetch, query: store.query, kill: store.kill, close: () => opened.disposeAsync() }
}

/** A folder made by another major version of PostgreSQL cannot be opened, and trying may damage it. */
async function refuseOtherMajor(folder: string): Promise<void> {
  const path = join(folder, 'db', 'PG_VERSION')
  const found = await readFile(path, 'utf8').catch(() => postgresMajor)
  if (found.trim() === postgresMajor) return
  const message = `The database in ${folder} was made by PostgreSQL ${found.trim()}, this version of Troupe has ${postgresMajor}`
  throw new ActorError('CONFIG_INVALID', `${message}: keep the folder for the version that made it, and start with another one`)
}

/** Whether a process serves the folder's database just now. */
export async function isServed(folder: string): Promise<boolean> {
  const holder = await readHolder(folder)
  return holder !== undefined && (await isAlive(holder))
}

/** Deletes the database in a folder, unless a process has it open. */
export async function deleteEmbedded(folder: string): Promise<void> {
  const entry = await enterFolder(folder, { patience: 0, isAlive })
  if (entry.kind !== 'owner') {
    const holder = entry.holder ? `process ${entry.holder.pid} (${entry.holder.url})` : 'another process'
    throw storeError(`${folder} is in use by ${holder}: end it first`, { kind: 'unavailable', code: '' })
  }
  try {
    for (const name of ['db', 'db.new']) await rm(join(folder, name), { recursive: true, force: true })
  } finally {
    await entry.lock.release()
  }
}
