import { ActorError } from '../core/errors.ts'
import type { SendVerdict } from '../store/functions/messages.ts'
import { uuid } from '../store/functions/values.ts'
import { checkName, checkNumber, refuse } from '../worker/checks.ts'
import { fromErrorData } from '../worker/error-data.ts'
import { toJson } from '../worker/json.ts'
import { newMessageId } from '../worker/keys.ts'
import { makeMessage } from '../worker/outgoing.ts'
import type { Asks } from './asks.ts'
import type { Outbox } from './outbox.ts'
import type { SendOptions, Sent } from './troupe-types.ts'
import { wireMessage } from './wire.ts'

const nobody = 'outside'
const askTimeout = 30_000

type Said = { readonly to: string | null; readonly type: string; readonly body: unknown }

/** Sends a message that comes from no agent, whatever takes it to the store. */
export async function sendOver(send: Outbox['send'], said: Said, options: SendOptions = {}): Promise<Sent> {
  const message = compose(said, options)
  const { id } = message
  return sentOf(id, await send({ ...wireMessage(message), id, from_agent: options.from ?? nobody }))
}

function compose({ to, type, body }: Said, { id = newMessageId(), from = nobody, ...options }: SendOptions) {
  if (!uuid.safeParse(id).success) refuse('The id of the message', id, 'a uuid')
  checkName(from, 'The sender of the message')
  return makeMessage({ by: 'the message', id, to, type, body: toJson(body, 'The body') }, options)
}

/** Messages that come from no agent: from people and from programs around the team. */
export function createOutside({ outbox, asks }: { readonly outbox: Pick<Outbox, 'send'>; readonly asks: Pick<Asks, 'ask'> }) {
  return {
    send: (to: string | null, type: string, body: unknown, options: SendOptions = {}): Promise<Sent> =>
      sendOver(outbox.send, { to, type, body }, options),

    async ask(to: string, type: string, body: unknown, options: SendOptions & { readonly timeout?: number } = {}): Promise<unknown> {
      const { timeout = askTimeout, from = nobody, ...rest } = options
      checkNumber(timeout, 'The timeout of the message', { least: 1 })
      const message = { ...compose({ to, type, body }, { ...rest, from }), to }
      const answer = await asks.ask({ from, chain: [], key: `outside:${message.id}`, message, timeout })
      if (!answer.ok) throw fromErrorData(answer.error)
      return JSON.parse(answer.value ?? 'null')
    },
  }
}

function sentOf(id: string, verdict: SendVerdict): Sent {
  switch (verdict.verdict) {
    case 'ok':
    case 'repeat': {
      const deliveries = (verdict.deliveries ?? []).map(({ agent_id: agent, status, unknown = false }) => ({ agent, status, unknown }))
      return { id: verdict.id ?? id, deliveries }
    }
    case 'stale':
      throw new ActorError('LEASE_LOST', 'The sender has lost its lease')
    case 'failed': {
      const isFull = `${verdict.code} ${verdict.error}`.includes('MAILBOX_FULL')
      throw new ActorError(isFull ? 'MAILBOX_FULL' : 'STORE_FAILED', verdict.error, { details: { code: verdict.code } })
    }
  }
}
