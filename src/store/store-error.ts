import { ActorError } from '../core/errors.ts'
import type { FailureKind } from './failure.ts'
import type { StoreKind } from './store.ts'

/** The `details` of every STORE_FAILED. */
export interface StoreFailureDetails extends Readonly<Record<string, unknown>> {
  readonly kind: FailureKind
  /** Which kind of store said so, or did not answer; absent where it was no request to a store. */
  readonly store?: StoreKind
  /** SQLSTATE, PostgREST's code or '' when nobody answered. */
  readonly code: string
  readonly hint?: string
  readonly detail?: string
  readonly status?: number
  /** The function called or the relation read. */
  readonly function?: string
}

/** Makes the one error that the store throws. */
export function storeError(message: string, details: StoreFailureDetails, cause?: unknown): ActorError {
  return new ActorError('STORE_FAILED', message, cause === undefined ? { details } : { cause, details })
}

/** Whether the database gave a statement up for the time it took: it may be busy, or the statement too much. */
export function isTimeout(error: unknown): boolean {
  return storeFailureKind(error) === 'unavailable' && (error as ActorError).details.code === '57014'
}

/** Whether nobody answered in the time that there was for it, as when nobody is there, or when what was asked takes longer. */
export function isUnanswered(error: unknown): boolean {
  if (storeFailureKind(error) !== 'unavailable') return false
  const { cause } = error as ActorError
  return cause instanceof Error && cause.name === 'TimeoutError'
}

/** What kind of failure an error of the store is; undefined when it is not the store's. */
export function storeFailureKind(error: unknown): FailureKind | undefined {
  return storeFailure(error)?.kind
}

/** What is known of an error of the store; undefined when it is not the store's. */
export function storeFailure(error: unknown): StoreFailureDetails | undefined {
  return error instanceof ActorError && error.code === 'STORE_FAILED' ? (error.details as StoreFailureDetails) : undefined
}
