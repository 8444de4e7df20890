import { parse } from 'yaml'
import { type Config, configSchema } from './schema.ts'

const schema = configSchema.shape.store

/**
 * What a config's text says of the store, as far as it can be read, else the default: a running team has to be found also while somebody
 * edits its config.
 */
export function readStoreSettings(text: string): Config['store'] {
  const given = storeIn(text)
  const folder = typeof given === 'object' && given !== null ? Reflect.get(given, 'folder') : undefined
  for (const candidate of [given, { folder }]) {
    const parsed = schema.safeParse(candidate)
    if (parsed.success) return parsed.data
  }
  return schema.parse(undefined)
}

function storeIn(text: string): unknown {
  try {
    const document: unknown = parse(text, { logLevel: 'silent' })
    return typeof document === 'object' && document !== null ? Reflect.get(document, 'store') : undefined
  } catch {
    return undefined
  }
}
