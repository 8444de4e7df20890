import { openConfigured } from '../host/open.ts'
import { storeOver } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import type { Input } from './command.ts'
import { storeSettings } from './team-input.ts'

/** Opens the team's own store, through whoever holds it, and closes it after use. */
export async function withStore<Result>(input: Input, use: (store: Store) => Promise<Result>): Promise<Result> {
  const settings = await storeSettings(input)
  await using store = storeOver(await openConfigured(settings, input.env, { folder: settings.folder }))
  return await use(store)
}
