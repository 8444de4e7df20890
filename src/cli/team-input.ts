import { readFile } from 'node:fs/promises'
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

/** The config file that the command line or the environment names. */
export function configFile({ options, env }: Pick<Input, 'options' | 'env'>): string {
  return typeof options.config === 'string' ? options.config : env.TROUPE_CONFIG || defaultConfig
}

/** Where the store is, by the command line, else by the config, which may be absent or being edited. */
export async function storeSettings(input: Pick<Input, 'options' | 'env'>): Promise<Config['store']> {
  const { folder } = input.options
  const text = await readFile(configFile(input), 'utf8').catch(() => '')
  const settings = readStoreSettings(text)
  return typeof folder === 'string' ? { ...settings, folder } : settings
}
