import type { Migration, MigrationReport } from './migrate.ts'
import type { SqlFailure } from './sql-failure.ts'
import type { QueryAnswer } from './store.ts'

/** Which database the store thread opens. */
export type ThreadTarget =
  | { readonly kind: 'pglite'; readonly folder: string; readonly archive: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly connections: number }

/** An HTTP request as it crosses the port. */
export interface FetchFrame {
  readonly op: 'fetch'
  /** Path and query. */
  readonly path: string
  readonly method: string
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly body: Uint8Array | undefined
}

export type Work =
  | FetchFrame
  | { readonly op: 'query'; readonly sql: string }
  | { readonly op: 'migrate'; readonly migrations: readonly Migration[] }

/** Host to thread. `close` is answered by the thread's exit. */
export type HostFrame = (Work & { readonly id: number }) | { readonly op: 'drop'; readonly id: number } | { readonly op: 'close' }

export interface FetchAnswer {
  readonly status: number
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly body: Uint8Array
}

/** What each kind of work answers. */
export interface Answers {
  fetch: FetchAnswer
  query: QueryAnswer
  migrate: MigrationReport
}

/** Thread to host. */
export type ThreadFrame =
  | { readonly op: 'ready' }
  | { readonly op: 'broken'; readonly failure: SqlFailure }
  | { readonly op: 'answer'; readonly id: number; readonly answer: Answers[keyof Answers] }
  | { readonly op: 'failure'; readonly id: number; readonly failure: SqlFailure }
