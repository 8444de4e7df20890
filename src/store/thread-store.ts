import { abortable, limited } from './abortable.ts'
import { failureKind } from './failure.ts'
import type { Migration, MigrationReport } from './migrate.ts'
import type { CallOptions, SqlAccess } from './store.ts'
import { storeError } from './store-error.ts'
import type { Fetch } from './supabase.ts'
import type { FetchAnswer, ThreadTarget, Work } from './thread-frames.ts'
import { startThread, ThreadFailure, type ThreadSession } from './thread-session.ts'

/** A database in a store thread, which is opened again whenever it dies. */
export interface ThreadStore extends SqlAccess {
  /** Answers requests to Supabase's REST API; throws when the thread is away, as fetch does for a server. */
  readonly fetch: Fetch
  migrate(migrations: readonly Migration[], options?: CallOptions): Promise<MigrationReport>
  /** Ends the thread as it is, as a crash would; for tests and for a thread that hangs. */
  kill(): void
  close(): Promise<void>
}

export interface ThreadStoreOptions {
  readonly target: ThreadTarget
  /** A thread that answers nothing for so long, with work in hand, is ended and opened again. */
  readonly hangAfter?: number
  /** Between two attempts to open again. */
  readonly reopenAfter?: number
  readonly onEvent?: (event: ThreadEvent) => void
}

/** For logs and tests. */
export type ThreadEvent = { readonly kind: 'ended'; readonly cause: Error | undefined } | { readonly kind: 'opened' }

type State =
  | { readonly kind: 'open'; readonly session: ThreadSession }
  | { readonly kind: 'opening'; readonly session: Promise<ThreadSession> }
  | { readonly kind: 'down'; readonly since: number; readonly cause: unknown }
  | { readonly kind: 'closed' }

const defaults = { hangAfter: 60_000, reopenAfter: 1_000 } as const
/** Ms in which a database is closed: a folder is left as it should be, a server loses nothing, and may say nothing. */
const closeLimits = { pglite: 10_000, postgres: 2_000 } as const
const queryTimeout = 60_000
const migrateTimeout = 600_000

/** Opens a store thread. Rejects when the database cannot be opened at all; once it was, it is opened again after a death. */
export async function openThreadStore(options: ThreadStoreOptions): Promise<ThreadStore> {
  const { target, hangAfter, reopenAfter, onEvent = () => {} } = { ...defaults, ...options }
  const closeLimit = closeLimits[target.kind]
  let state: State = { kind: 'closed' }

  async function start(): Promise<ThreadSession> {
    try {
      const session = await startThread(target, hangAfter)
      void session.ended.then((cause) => {
        if (state.kind === 'open' && state.session === session) state = { kind: 'down', since: Number.NEGATIVE_INFINITY, cause }
        onEvent({ kind: 'ended', cause })
      })
      if (state.kind !== 'closed') state = { kind: 'open', session }
      else await session.close(closeLimit)
      onEvent({ kind: 'opened' })
      return session
    } catch (cause) {
      if (state.kind !== 'closed') state = { kind: 'down', since: performance.now(), cause }
      throw cause
    }
  }

  function open(): Promise<ThreadSession> {
    const session = start()
    state = { kind: 'opening', session }
    return session
  }

  function session(): Promise<ThreadSession> {
    switch (state.kind) {
      case 'open':
        return Promise.resolve(state.session)
      case 'opening':
        return state.session
      case 'down':
        if (performance.now() - state.since >= reopenAfter) return open()
        return Promise.reject(storeError('The store thread is down', { kind: 'unavailable', code: '' }, state.cause))
      case 'closed':
        return Promise.reject(storeError('The store is closed', { kind: 'aborted', code: '' }))
    }
  }

  async function ask<Op extends Work['op']>(
    work: Extract<Work, { op: Op }>,
    signal: AbortSignal | undefined,
    transfer: ArrayBuffer[] = [],
  ) {
    const current = await abortable(session(), signal)
    return await current.ask<Op>(work, { ...(signal ? { signal } : {}), transfer })
  }

  const fetch: Fetch = async (input, init = {}) => {
    const { pathname, search } = new URL(input instanceof Request ? input.url : input)
    const { method = 'GET', headers, signal } = init
    const body = bytesOf(init.body)
    const frame = { op: 'fetch', path: pathname + search, method, headers: [...new Headers(headers)], body } as const
    try {
      return response(await ask(frame, signal ?? undefined, body ? [body.buffer] : []))
    } catch (error) {
      if (error instanceof ThreadFailure) return failureResponse(error)
      throw error
    }
  }

  function kill(): void {
    if (state.kind === 'open') state.session.kill()
  }

  async function close(): Promise<void> {
    const last = state
    state = { kind: 'closed' }
    if (last.kind === 'open') await last.session.close(closeLimit)
    if (last.kind === 'opening') await last.session.then((opened) => opened.close(closeLimit)).catch(() => {})
  }

  await open()
  return {
    fetch,
    query: (sql, { timeout = queryTimeout, signal } = {}) => asStoreError(ask({ op: 'query', sql }, limited(timeout, signal))),
    migrate: (migrations, { timeout = migrateTimeout, signal } = {}) =>
      asStoreError(ask({ op: 'migrate', migrations }, limited(timeout, signal))),
    kill,
    close,
  }
}

/** Bytes of its own, which may be moved. A Request would make them too, and take most of the time that a call takes here. */
function bytesOf(body: RequestInit['body']): Uint8Array<ArrayBuffer> | undefined {
  if (body === null || body === undefined) return undefined
  if (typeof body === 'string') return new TextEncoder().encode(body)
  if (body instanceof Uint8Array) return new Uint8Array(body)
  throw new TypeError('A request to the store has a body that is neither a string nor bytes')
}

function response({ status, headers, body }: FetchAnswer): Response {
  // These must not have a body, not even an empty one.
  const hasBody = status !== 204 && status !== 205 && status !== 304
  return new Response(hasBody ? (body as Uint8Array<ArrayBuffer>) : null, { status, headers: headers as [string, string][] })
}

/** A thread that could not do the work answers as PostgREST does when it cannot reach its database. */
function failureResponse({ failure: { code, message, detail, hint } }: ThreadFailure): Response {
  return Response.json({ code, message, details: detail ?? null, hint: hint ?? null }, { status: 503 })
}

async function asStoreError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw error instanceof ThreadFailure ? sqlError(error) : error
  }
}

function sqlError(error: ThreadFailure) {
  const { code, message, detail, hint } = error.failure
  const details = { kind: failureKind(400, code), code, ...(detail ? { detail } : {}), ...(hint ? { hint } : {}) }
  return storeError(message, details, error)
}
