import { ActorError } from '../core/errors.ts'
import type { Config } from '../sources/schema.ts'
import { type Backend, openBackend } from '../store/open.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Opens the store that the config names; `auto` leaves it to the environment. Embedded, its schema is brought up to date. */
export async function openConfigured(config: Config['store'], env: Environment, folder: string): Promise<Backend> {
  const backend = await openBackend({ env: narrowed(config.kind, env), folder })
  if (backend.kind === 'embedded') await backend.migrate()
  return backend
}

/** The environment without what points to another kind of store. */
function narrowed(kind: Config['store']['kind'], env: Environment): Environment {
  switch (kind) {
    case 'auto':
      return env
    case 'hosted':
      return { ...env, ENABLE_SUPABASE: 'true' }
    case 'postgres':
      if (!env.DATABASE_URL) throw new ActorError('CONFIG_INVALID', 'store.kind is postgres: expected DATABASE_URL, found none')
      return { ...env, ENABLE_SUPABASE: undefined, SUPABASE_URL: undefined }
    case 'embedded':
      return { ...env, ENABLE_SUPABASE: 'false', DATABASE_URL: undefined }
  }
}
