import { openConfigured } from '../host/open.ts'
import { type Backend, storeOver } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import type { Input } from './command.ts'
import { storeSettings } from './team-input.ts'

/** Opens what the team's own store is made over, through whoever holds it. */
export async function openTeamBackend(input: Input): Promise<Backend> {
  const settings = await storeSettings(input)
  return await openConfigured(settings, input.env, { folder: settings.folder })
}

/** Opens the team's own store, through whoever holds it, and closes it after use. */
export async function withStore<Result>(input: Input, use: (store: Store) => Promise<Result>): Promise<Result> {
  await using store = storeOver(await openTeamBackend(input))
  return await use(store)
}
