/** What lite's introspection tells of the schema, as far as it matters here. */
export interface KnownSchema {
  readonly columns: ReadonlyArray<{
    readonly schema?: string
    readonly table: string
    readonly name: string
    readonly pg_type?: string
    readonly type: string
  }>
  readonly functions?: ReadonlyArray<{
    readonly schema?: string
    readonly name: string
    readonly arg_names: readonly string[]
    readonly arg_types: readonly string[]
  }>
}

/** The columns and arguments of type json or jsonb, by the path under /rest/v1/. */
export type JsonFields = ReadonlyMap<string, ReadonlySet<string>>

const isJson = (type: string | undefined) => /^jsonb?$/i.test(type ?? '')

/** Finds the JSON columns and arguments of the public schema. */
export function findJsonFields({ columns, functions = [] }: KnownSchema): JsonFields {
  const fields = new Map<string, Set<string>>()
  const add = (path: string, name: string) => fields.set(path, (fields.get(path) ?? new Set()).add(name))
  for (const { schema = 'public', table, name, pg_type, type } of columns) {
    if (schema === 'public' && isJson(pg_type ?? type)) add(table, name)
  }
  for (const { schema = 'public', name, arg_names, arg_types } of functions) {
    if (schema === 'public') for (const [at, argument] of arg_names.entries()) if (isJson(arg_types[at])) add(`rpc/${name}`, argument)
  }
  return fields
}

/**
 * Writes the strings, numbers and booleans in JSON fields of a body as JSON texts, `times` over. PostgREST stores
 * {"value": "normal"} as the JSON string "normal". lite takes such a string for JSON text (of an argument once, of a column
 * twice), so that it is refused, or becomes something else ("5" the number 5); a boolean is no JSON to the server at all.
 */
export function quoteJsonScalars(body: string, fields: ReadonlySet<string>, times: 1 | 2): string {
  // Nearly always the field holds an object: a look at the text spares parsing a megabyte twice.
  if (![...fields].some((name) => new RegExp(`"${RegExp.escape(name)}"\\s*:\\s*["tf\\d-]`).test(body))) return body
  const quoted = (value: unknown) => (times === 1 ? JSON.stringify(value) : JSON.stringify(JSON.stringify(value)))
  const quote = (row: unknown): unknown => {
    if (typeof row !== 'object' || row === null || Array.isArray(row)) return row
    const entries = Object.entries(row)
    return Object.fromEntries(entries.map(([name, value]) => [name, fields.has(name) && isScalar(value) ? quoted(value) : value]))
  }
  try {
    const parsed: unknown = JSON.parse(body)
    return JSON.stringify(Array.isArray(parsed) ? parsed.map(quote) : quote(parsed))
  } catch {
    return body // not JSON: lite says so better
  }
}

function isScalar(value: unknown): boolean {
  return value !== null && typeof value !== 'object'
}
