import type { FetchFrame } from './thread-frames.ts'

/** A call of a function of the schema that takes one batch. */
export interface BatchCall {
  readonly name: string
  /** JSON text. */
  readonly batch: string
}

/** The functions that it is about: their one argument is p_batch, and they take and give JSON. */
export const readBatchFunctions = `
select p.proname from pg_catalog.pg_proc p
where p.pronamespace = 'public'::regnamespace and p.proargnames = '{p_batch}' and p.proargtypes[0] = 'jsonb'::regtype
  and p.prorettype in ('json'::regtype, 'jsonb'::regtype) and not p.proretset and p.proname ~ '^[a-z][a-z0-9_]*$'`

const start = '{"p_batch":'

/**
 * Reads a request as such a call, if it is nothing but that. lite makes five statements of it, which on the embedded database take seven
 * times as long as the call itself; nearly all that a team does are such calls.
 */
export function readBatchCall({ path, method, headers, body }: FetchFrame, functions: ReadonlySet<string>): BatchCall | undefined {
  const [, name = ''] = /^\/rest\/v1\/rpc\/(\w+)$/.exec(path) ?? []
  if (method !== 'POST' || !body || !functions.has(name) || !headers.every(isPlain)) return undefined
  const text = new TextDecoder().decode(body).trim()
  if (!text.startsWith(start) || !text.endsWith('}')) return undefined
  const batch = text.slice(start.length, -1).trim()
  return batch === 'null' ? undefined : { name, batch } // that is SQL's null
}

/** Whether a header asks for nothing that PostgREST does not do anyway. */
function isPlain([name, value]: readonly [string, string]): boolean {
  switch (name) {
    case 'accept':
      return /^(\*\/\*|application\/json)$/.test(value)
    case 'content-type':
      return /^application\/json\b/.test(value)
    case 'content-profile':
      return value === 'public'
    case 'prefer':
    case 'range':
      return false
  }
  return true
}
