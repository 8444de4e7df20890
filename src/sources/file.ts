import { readFile, stat } from 'node:fs/promises'
import { ActorError } from '../core/errors.ts'
import { checkConfig, parseConfig, placesIn } from './config.ts'
import type { ConfigInput } from './schema.ts'
import type { Source } from './source.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** A config file as a source. */
export function fileSource(file: string, env: Environment): Source {
  return {
    files: [file],
    async read() {
      const text = await readConfigFile(file)
      const { mtimeMs } = await stat(file)
      return { config: parseConfig(text, { file, env }), where: placesIn(text, file), changedAt: Math.floor(mtimeMs) }
    },
    close: async () => {},
  }
}

/** The text of a config file; CONFIG_INVALID where there is none to read. */
export async function readConfigFile(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'ENOENT' ? '' : ` (${cause.message})`
    const message = `Cannot read the config file ${file}${why}: name another with --config or TROUPE_CONFIG`
    throw new ActorError('CONFIG_INVALID', message, { cause, details: { file } })
  })
}

/** A config in a program as a source. */
export function valueSource(config: ConfigInput): Source {
  return {
    files: [],
    read: async () => ({ config: checkConfig(config), where: (path) => path.join('.'), changedAt: 0 }),
    close: async () => {},
  }
}
