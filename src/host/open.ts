import { access, constants } from 'node:fs/promises'
import { ActorError } from '../core/errors.ts'
import type { Config } from '../sources/schema.ts'
import type { EmbeddedEvent } from '../store/embedded.ts'
import { makeFolder } from '../store/make-folder.ts'
import { type Backend, openBackend } from '../store/open.ts'
import { type StoreTarget, storeTarget } from '../store/target.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Makes the folder of everything that is written, for its owner's eyes only; CONFIG_INVALID when this user may not write there. */
export async function openFolder(folder: string): Promise<void> {
  try {
    makeFolder(folder)
    await access(folder, constants.W_OK | constants.X_OK)
  } catch (cause) {
    // Volumes are often root's, whoever the process is.
    const user = process.getuid === undefined ? 'this user' : `the user ${process.getuid()}`
    const hint = 'Give the folder to that user (chown), run as its owner, or name another folder with --folder or store.folder'
    const message = `The folder ${folder} cannot be used by ${user}: ${(cause as Error).message}`
    throw new ActorError('CONFIG_INVALID', message, { cause, details: { folder, hint } })
  }
}

export type ConfiguredOptions = {
  readonly folder: string
  /** It is here to stay, and should have the embedded store's folder itself. */
  readonly stays?: boolean
  /** Hears why the place of a process that had the embedded store and is gone cannot be taken. */
  readonly onRefused?: (error: Error) => void
}

/** Opens the store that the config names; `auto` leaves it to the environment. Embedded, its schema is brought up to date. */
export async function openConfigured(
  config: Config['store'],
  env: Environment,
  { folder, stays = false, onRefused = () => {} }: ConfiguredOptions,
): Promise<Backend> {
  const onEvent = (event: EmbeddedEvent) => void (event.kind === 'refused' && onRefused(event.error))
  const backend = await openBackend({ env: narrowed(config.kind, env), folder, stays, onEvent })
  if (backend.kind === 'embedded') await backend.migrate()
  return backend
}

/** Which store that is. */
export function configuredTarget({ kind }: Config['store'], env: Environment): StoreTarget {
  return storeTarget(narrowed(kind, env))
}

/** The environment without what points to another kind of store. */
function narrowed(kind: Config['store']['kind'], env: Environment): Environment {
  switch (kind) {
    case 'auto':
      return env
    case 'hosted': {
      const demanding = { ...env, ENABLE_SUPABASE: 'true' }
      storeTarget(demanding, 'store.kind is hosted') // what is missing is told in the config's words
      return demanding
    }
    case 'postgres':
      if (!env.DATABASE_URL) throw new ActorError('CONFIG_INVALID', 'store.kind is postgres: expected DATABASE_URL, found none')
      return { ...env, ENABLE_SUPABASE: undefined, SUPABASE_URL: undefined }
    case 'embedded':
      return { ...env, ENABLE_SUPABASE: 'false', DATABASE_URL: undefined }
  }
}
