import * as z from 'zod'
import { limited } from './abortable.ts'
import { failureKind } from './failure.ts'
import type { Holder } from './folder.ts'
import type { CallOptions, QueryAnswer, SqlAccess } from './store.ts'
import { storeError } from './store-error.ts'
import type { Fetch } from './supabase.ts'

const answerSchema = z.object({ columns: z.array(z.string()), rows: z.array(z.array(z.unknown())) })
const refusalSchema = z.object({
  code: z.string().catch(''),
  message: z.string(),
  details: z.string().nullish(),
  hint: z.string().nullish(),
})
const aliveTimeout = 1_000
const queryTimeout = 60_000

/** The embedded store of another process, over its address on this machine. */
export interface Remote extends SqlAccess {
  readonly fetch: Fetch
}

/** Joins the store that another process serves. */
export function createRemote({ url, key }: Pick<Holder, 'url' | 'key'>): Remote {
  const credentials = { apikey: key, authorization: `Bearer ${key}` }
  return {
    async fetch(input, init) {
      const { pathname, search } = new URL(input instanceof Request ? input.url : input)
      const headers = new Headers(init?.headers)
      for (const [name, value] of Object.entries(credentials)) headers.set(name, value)
      const response = await fetch(new URL(pathname + search, url), { ...init, headers })
      if (response.status !== 401) return response
      // Somebody else serves there by now, and has announced another key.
      await response.body?.cancel()
      throw storeError(`The store at ${url} does not take the key that it announced`, { kind: 'unavailable', code: '' })
    },
    async query(sql, { timeout = queryTimeout, signal }: CallOptions = {}): Promise<QueryAnswer> {
      const response = await send(new URL('/troupe/query', url), {
        method: 'POST',
        headers: credentials,
        body: sql,
        signal: limited(timeout, signal),
      })
      if (response.ok) return answerSchema.parse(await response.json())
      const { code, message, details, hint } = refusalSchema.parse(await response.json())
      const kind = failureKind(response.status, code)
      throw storeError(message, { kind, code, ...(details ? { detail: details } : {}), ...(hint ? { hint } : {}) })
    },
  }
}

async function send(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (cause) {
    throw storeError(`The store at ${url.origin} does not answer`, { kind: 'unavailable', code: '' }, cause)
  }
}

/** Whether the announced process answers, with the key that it announced. */
export async function isAlive({ url, key }: Pick<Holder, 'url' | 'key'>): Promise<boolean> {
  try {
    const response = await fetch(new URL('/troupe/health', url), { headers: { apikey: key }, signal: AbortSignal.timeout(aliveTimeout) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}
