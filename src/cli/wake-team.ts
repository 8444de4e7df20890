import { findAddresses } from '../ops/control-address.ts'
import type { Input } from './command.ts'
import { call } from './connect.ts'
import { storeSettings } from './team-input.ts'

/** Has what runs on the folder look into the store now, where something is new; without it that is found some seconds later. */
export async function wakeTeam(input: Pick<Input, 'options' | 'env'>): Promise<void> {
  const addresses = await findAddresses((await storeSettings(input)).folder)
  await Promise.allSettled(addresses.map((address) => call(address, 'wake', {})))
}
