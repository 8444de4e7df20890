import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import * as z from 'zod'
import type { ActorError } from '../core/errors.ts'
import { mostRows } from '../core/most-rows.ts'
import { limited } from './abortable.ts'
import { failureKind } from './failure.ts'
import { isStorable } from './json-text.ts'
import { withRetries } from './retry.ts'
import type { CallOptions, Condition, Filter, FunctionMap, Health, ReadOptions, RelationMap, Store, StoreKind } from './store.ts'
import { isTimeout, storeError, storeFailureKind } from './store-error.ts'

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export interface SupabaseStoreOptions<Functions extends FunctionMap, Tables extends RelationMap> {
  readonly kind: StoreKind
  readonly functions: Functions
  readonly relations: Tables
  readonly url: string
  readonly key: string
  readonly fetch?: Fetch
  /** The schema version that this build was made for. */
  readonly schema: string
  readonly onClose?: () => Promise<void>
  /** For a whole call with its retries. */
  readonly timeout?: number
  /** For one request: a lost answer must leave time for another try. */
  readonly attemptTimeout?: number
  readonly attempts?: number
}

const defaults = { timeout: 30_000, attemptTimeout: 10_000, attempts: 6, backoff: { base: 50, max: 2_000 } } as const

/** Makes a Supabase client for a server: no session, no retries of its own. */
export function createSupabaseClient({ url, key, fetch }: { url: string; key: string; fetch?: Fetch }): SupabaseClient {
  return createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    db: { retry: false },
    global: fetch ? { fetch: fetch as typeof globalThis.fetch } : {},
  })
}

/** A store over whatever answers supabase-js: a hosted project, or one of our own behind the same requests. */
export function createSupabaseStore<Functions extends FunctionMap, Tables extends RelationMap>(
  options: SupabaseStoreOptions<Functions, Tables>,
): Store<Functions, Tables> {
  const { kind, url, key, functions, relations, schema, onClose, timeout, attemptTimeout, attempts } = { ...defaults, ...options }
  const causes = new WeakMap<AbortSignal, unknown>()
  const client = createSupabaseClient({ url, key, fetch: keepCauses(options.fetch ?? globalThis.fetch, causes) })
  let closing: Promise<void> | undefined

  /** Sends a request as often as it takes; `build` makes it anew for each attempt. */
  async function send(subject: string, build: (signal: AbortSignal) => PromiseLike<Answer>, callOptions: CallOptions): Promise<unknown> {
    if (closing !== undefined) throw storeError(`${subject}: the store is closed`, { kind: 'aborted', code: '', function: subject })
    const whole = limited(callOptions.timeout ?? timeout, callOptions.signal)
    return await withRetries(
      async () => {
        const signal = limited(attemptTimeout, whole)
        const answer = await build(signal)
        if (!answer.error) return answer.data
        throw answerError({ subject, store: kind }, answer, callOptions.signal?.aborted === true, causes.get(signal))
      },
      { attempts, ...defaults.backoff, signal: whole, isWorthRepeating },
    )
  }

  async function call<T>(name: string, args: Record<string, unknown>, callOptions: CallOptions = {}): Promise<T> {
    const shape = functions[name]
    if (!shape) throw storeError(`${name}: no such function is known here`, { kind: 'schema', code: '', function: name })
    const parsed = shape.args.safeParse(args)
    if (!parsed.success) {
      throw storeError(`${name}: ${z.prettifyError(parsed.error)}`, { kind: 'data', code: '', function: name }, parsed.error)
    }
    if (!isStorable(JSON.stringify(parsed.data))) throw unstorable(name)
    const answer = await send(name, (signal) => client.rpc(name, parsed.data).abortSignal(signal), callOptions)
    return parseAnswer(name, shape.result as z.ZodType<T>, answer)
  }

  async function read<T>(relation: string, filter: Filter<T> = {}, readOptions: ReadOptions<T> & CallOptions = {}): Promise<T[]> {
    const row = relations[relation]
    if (!row) throw storeError(`${relation}: no such table or view is known here`, { kind: 'schema', code: '', function: relation })
    const build = (signal: AbortSignal) => {
      let request = client.from(relation).select(Object.keys(row.shape).join())
      for (const [column, condition] of Object.entries<Condition | undefined>(filter)) {
        for (const [operator, value] of comparisons(condition)) request = request.filter(column, operator, value)
      }
      for (const { by, descending = false } of readOptions.order ?? []) request = request.order(by, { ascending: !descending })
      return request.limit(Math.min(readOptions.limit ?? mostRows, mostRows)).abortSignal(signal)
    }
    return parseAnswer(relation, z.array(row) as unknown as z.ZodType<T[]>, await send(relation, build, readOptions))
  }

  const close = (): Promise<void> => {
    closing ??= Promise.resolve(onClose?.())
    return closing
  }

  async function health(healthOptions: CallOptions = {}): Promise<Health> {
    const began = performance.now()
    try {
      const found = z
        .string()
        .parse(await send('schema_version', (signal) => client.rpc('schema_version').abortSignal(signal), healthOptions))
      return judgeSchema(found, schema, performance.now() - began)
    } catch (error) {
      // Before the first migration not even the role is there (22023).
      const isMissing = storeFailureKind(error) === 'schema' || (error as ActorError).details?.code === '22023'
      return isMissing ? judgeSchema(undefined, schema, 0) : { status: 'away', message: (error as Error).message }
    }
  }

  return { kind, call, read, health, close, [Symbol.asyncDispose]: close }
}

/** What took the database too long may do so again; whoever can wait for that, repeats it. */
function isWorthRepeating(error: unknown): boolean {
  return storeFailureKind(error) === 'unavailable' && !isTimeout(error)
}

/** A newer schema is fine: migrations only add, so that old and new containers may run side by side. */
function judgeSchema(found: string | undefined, needed: string, latency: number): Health {
  if (found !== undefined && found >= needed) return { status: 'ok', schema: found, latency }
  const state = found === undefined ? 'has no Troupe schema' : `has schema ${found}, older than ${needed}`
  return { status: 'unfit', schema: found, message: `The database ${state}: run \`troupe db migrate\`` }
}

interface Answer {
  readonly data: unknown
  readonly error: {
    readonly message: string
    readonly code?: string
    readonly details?: string | null
    readonly hint?: string | null
  } | null
  readonly status: number
}

/** supabase-js turns what fetch throws into text; the original is kept aside, by the request's own signal. */
function keepCauses(fetch: Fetch, causes: WeakMap<AbortSignal, unknown>): Fetch {
  return async (input, init) => {
    try {
      return await fetch(input, init)
    } catch (error) {
      if (init?.signal) causes.set(init.signal, error)
      throw error
    }
  }
}

interface Asked {
  readonly subject: string
  readonly store: StoreKind
}

function answerError({ subject, store }: Asked, { error, status }: Answer, isAborted: boolean, cause: unknown) {
  const code = error?.code ?? ''
  const kind = isAborted ? 'aborted' : failureKind(status, code)
  const said = status === 0 && cause instanceof Error ? describe(cause) : (error?.message ?? 'no answer')
  const message = `${subject}: ${shorten(said)}${code ? ` (${code})` : ''}`
  const details = {
    kind,
    store,
    code,
    status,
    function: subject,
    ...(error?.hint && status !== 0 ? { hint: error.hint } : {}),
    ...(error?.details && status !== 0 ? { detail: error.details } : {}),
  }
  return storeError(message, details, cause ?? error)
}

/** An error and what caused it, on one line. */
function describe(error: Error): string {
  if (error.name === 'TimeoutError') return 'no answer in time'
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}

/** A gateway's error may be a page of HTML. */
function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 300 ? `${line.slice(0, 300)}…` : line
}

function parseAnswer<T>(subject: string, schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer)
  if (parsed.success) return parsed.data
  const message = `${subject}: the answer is not what this version of Troupe expects: ${shorten(z.prettifyError(parsed.error))}`
  throw storeError(message, { kind: 'answer', code: '', function: subject }, parsed.error)
}

function unstorable(subject: string) {
  const message = `${subject}: a text holds NUL or half of a surrogate pair, which PostgreSQL cannot store`
  return storeError(message, { kind: 'data', code: '22P05', function: subject, hint: 'Remove \\u0000 and unpaired \\ud800 to \\udfff' })
}

/** One condition as PostgREST's operators and texts. */
function comparisons(condition: Condition | undefined): [operator: string, value: unknown][] {
  if (condition === undefined) return []
  if (condition === null) return [['is', null]]
  if (typeof condition !== 'object') return [['eq', condition]]
  return Object.entries(condition).map(([operator, value]) => {
    if (Array.isArray(value)) return [operator, `(${value.map((one) => JSON.stringify(String(one))).join()})`]
    return value === null ? ['not.is', null] : [operator, value]
  })
}
