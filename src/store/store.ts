import type * as z from 'zod'
import type { Relations, StoreFunctions } from './functions.ts'

/** How a function of the schema is called and what it answers; `void` functions answer null. */
export interface FunctionShape {
  readonly args: z.ZodType<Record<string, unknown>, Record<string, unknown>>
  readonly result: z.ZodType
}

/** The functions that a store may call, by name. */
export type FunctionMap = Readonly<Record<string, FunctionShape>>

/** The tables and views that a store may read, each with the columns wanted. */
export type RelationMap = Readonly<Record<string, z.ZodObject>>

export type StoreKind = 'hosted' | 'postgres' | 'embedded'

/** What may be said about a column: a value (null means "is null"), a comparison, or a list of values. */
export type Condition =
  | Scalar
  | { readonly [Comparison in 'neq' | 'gt' | 'gte' | 'lt' | 'lte']?: Scalar }
  | { readonly in: readonly Scalar[] }
type Scalar = string | number | boolean | null

/** Conditions by column; all must hold. */
export type Filter<Row> = { readonly [Column in keyof Row & string]?: Condition }

export interface ReadOptions<Row> {
  /** Columns by which to sort, in that order. */
  readonly order?: ReadonlyArray<{ readonly by: keyof Row & string; readonly descending?: boolean }>
  /** Never more than 1,000: a hosted project cuts longer answers without a word. */
  readonly limit?: number
}

/** Limits of one call. */
export interface CallOptions {
  /** For the whole call with its retries. */
  readonly timeout?: number
  readonly signal?: AbortSignal
}

/** Whether the store can be used, and if not, what a person has to do. */
export type Health =
  | { readonly status: 'ok'; readonly schema: string; readonly latency: number }
  | { readonly status: 'away'; readonly message: string }
  | { readonly status: 'unfit'; readonly message: string; readonly schema: string | undefined }

/**
 * The durable side of Troupe, in terms of the schema's own functions and views.
 * Every call ends within its timeout; what fails throws ActorError STORE_FAILED with `details` of {@link StoreFailureDetails}.
 * What is worth repeating was repeated before it throws: all functions here are safe to repeat, if what they make is given its id.
 */
export interface Store<Functions extends FunctionMap = StoreFunctions, Tables extends RelationMap = Relations> extends AsyncDisposable {
  readonly kind: StoreKind
  call<Name extends keyof Functions & string>(
    name: Name,
    args: z.input<Functions[Name]['args']>,
    options?: CallOptions,
  ): Promise<z.output<Functions[Name]['result']>>
  read<Name extends keyof Tables & string>(
    relation: Name,
    filter?: Filter<z.output<Tables[Name]>>,
    options?: ReadOptions<z.output<Tables[Name]>> & CallOptions,
  ): Promise<z.output<Tables[Name]>[]>
  health(options?: CallOptions): Promise<Health>
  close(): Promise<void>
}

/** The rows of a statement written by a person; values as PostgreSQL prints them in JSON. */
export interface QueryAnswer {
  readonly columns: readonly string[]
  readonly rows: ReadonlyArray<readonly unknown[]>
}

/** Plain SQL with the rights of the database's owner: what people and migrations need. A hosted project offers none. */
export interface SqlAccess {
  query(sql: string, options?: CallOptions): Promise<QueryAnswer>
}
