import { sendOver } from '../host/outside.ts'
import type { Sent } from '../host/troupe-types.ts'
import type { Args } from '../ops/control-api.ts'
import type { Store } from '../store/store.ts'

/** Leaves a message in the store, for whoever starts next. */
export async function sendToStore(store: Store, { to, type, body, ...options }: Args<'send'>): Promise<Sent> {
  const send: Parameters<typeof sendOver>[0] = async (message) => {
    const [verdict] = await store.call('send_messages', { p_batch: { messages: [message] } })
    if (verdict) return verdict
    throw new Error('The store gave no verdict')
  }
  return await sendOver(send, { to, type, body }, options)
}
