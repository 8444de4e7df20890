import { existsSync } from 'node:fs'
import { readConfigFile } from '../sources/file.ts'
import type { Config } from '../sources/schema.ts'
import { readStoreSettings } from '../sources/store-settings.ts'
import type { Input, Option } from './command.ts'

export const defaultConfig = 'config/troupe.yaml'

/** Options that every command about a team has. */
export const teamOptions = {
  config: { type: 'string', value: '<file>', help: `the team's configuration (default TROUPE_CONFIG, else ${defaultConfig})` },
  folder: { type: 'string', value: '<path>', help: "the store's folder (default the config's store.folder, else .troupe)" },
  json: { type: 'boolean', help: 'print JSON for programs' },
} as const satisfies Record<string, Option>

/** A command for whoever reads a hint: about the team that this command line names. */
export function hint({ options }: Pick<Input, 'options'>, command: string): string {
  const named = (['config', 'folder'] as const).flatMap((name) => {
    const value = options[name]
    return typeof value === 'string' ? [`--${name} ${shellWord(value)}`] : []
  })
  return ['troupe', command, ...named].join(' ')
}

/** As a shell has to read it. */
function shellWord(text: string): string {
  return /^[\w./:@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** The config file that the command line or the environment names. */
export function configFile(input: Pick<Input, 'options' | 'env'>): string {
  return namedConfig(input) ?? defaultConfig
}

function namedConfig({ options, env }: Pick<Input, 'options' | 'env'>): string | undefined {
  return typeof options.config === 'string' ? options.config : env.TROUPE_CONFIG || undefined
}

/** Where the store is, by the command line, else by the config, which may be being edited, or absent where nobody named one. */
export async function storeSettings(input: Pick<Input, 'options' | 'env'>): Promise<Config['store']> {
  const isAbsent = namedConfig(input) === undefined && !existsSync(defaultConfig)
  return settingsIn(isAbsent ? '' : await readConfigFile(configFile(input)), input)
}

/** The same for who looks for faults: that the config cannot be read is one of them, and not the only one. */
export async function likelyStoreSettings(input: Pick<Input, 'options' | 'env'>): Promise<Config['store']> {
  return settingsIn(await readConfigFile(configFile(input)).catch(() => ''), input)
}

function settingsIn(text: string, { options: { folder }, env }: Pick<Input, 'options' | 'env'>): Config['store'] {
  const settings = readStoreSettings(text, env)
  return typeof folder === 'string' ? { ...settings, folder } : settings
}
