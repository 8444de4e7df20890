import type { OpenOptions } from '../store/open.ts'
import type { Input } from './command.ts'

/** What the command line and the environment say about the store. */
export function openOptions({ options, env }: Input): OpenOptions {
  return { env, ...(typeof options.folder === 'string' ? { folder: options.folder } : {}) }
}
