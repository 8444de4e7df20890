import { isNode, parseDocument } from 'yaml'
import { type Config, configSchema } from './schema.ts'
import { type Environment, substitute, veil } from './variables.ts'

const schema = configSchema.shape.store

/**
 * What a config's text says of the store, as far as it can be read, else the default: a running team has to be found also while somebody
 * edits its config.
 */
export function readStoreSettings(text: string, env: Environment): Config['store'] {
  const given = substitute(storeIn(text), env)
  const folder = typeof given === 'object' && given !== null ? Reflect.get(given, 'folder') : undefined
  for (const candidate of [given, { folder }]) {
    const parsed = schema.safeParse(candidate)
    if (parsed.success) return parsed.data
  }
  return schema.parse(undefined)
}

function storeIn(text: string): unknown {
  try {
    const document = parseDocument(veil(text), { logLevel: 'silent' })
    const store = document.get('store', true)
    return isNode(store) ? store.toJS(document) : undefined
  } catch {
    return undefined
  }
}
