import type { BatchCall } from './batch-call.ts'
import type { Transaction } from './migrate.ts'
import type { QueryAnswer } from './store.ts'

/** What the store thread needs of a database besides lite's REST API over it. */
export interface Database {
  /** How many requests may run at a time. */
  readonly width: number
  /** Runs what a person wrote; a session it leaves changed does not stay so. */
  query(sql: string): Promise<QueryAnswer>
  /** Calls a function as service_role, in a transaction of its own; gives the JSON text of its answer. */
  callBatch(call: BatchCall): Promise<string>
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>
  /** The statements of upkeep that are due now. */
  dueUpkeep(): Promise<string[]>
  /** After this error the database does not work any more, and its thread has to go. */
  isFatal(error: unknown): boolean
}

/** Makes a value fit for JSON: what JSON lacks is written as PostgreSQL prints it. */
export function jsonValue(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(jsonValue)
  return value
}
