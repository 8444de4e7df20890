import { readBatchFunctions } from './batch-call.ts'
import type { Database } from './database.ts'
import { findJsonFields, type JsonFields } from './json-fields.ts'

type Schema = Parameters<typeof findJsonFields>[0] & { readonly timezones?: unknown }

/** What a cache needs of lite's connection. */
interface Introspecting {
  introspect(options: { useCache: boolean }): Promise<Schema>
  clearSchemaCache(): unknown
}

const lookAgainAfter = 5_000

/** What lite knows of the schema: it looks it up once, and somebody else may change it. */
export function createSchemaCache(connection: Introspecting, database: Pick<Database, 'query'>) {
  let isLoaded = false
  let jsonFields: JsonFields = new Map()
  let batchFunctions: ReadonlySet<string> = new Set()
  let forgottenAt = Number.NEGATIVE_INFINITY
  const forget = async () => {
    isLoaded = false
    forgottenAt = performance.now()
    await connection.clearSchemaCache()
  }
  return {
    forget,
    jsonFields: () => jsonFields,
    batchFunctions: () => batchFunctions,
    /** lite swallows the errors of its introspection and then knows no table: a lost connection must not look like that. */
    async load(): Promise<void> {
      if (isLoaded) return
      const { rows } = await database.query(readBatchFunctions)
      const found = await connection.introspect({ useCache: true })
      if (!found.timezones) throw Object.assign(new Error('The schema could not be read'), { code: '08006' })
      jsonFields = findJsonFields(found)
      batchFunctions = new Set(rows.map(([name]) => String(name)))
      isLoaded = true
    },
    /** A function or table unknown here may be new: it is worth a second look, now and then. */
    async isOutdatedBy(response: Response): Promise<boolean> {
      const { code } = (await response
        .clone()
        .json()
        .catch(() => ({}))) as { code?: string }
      if (!/^PGRST20[25]$/.test(code ?? '') || performance.now() - forgottenAt < lookAgainAfter) return false
      await forget()
      return true
    },
  }
}
