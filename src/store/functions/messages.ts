import * as z from 'zod'
import { batchOf, jsonObject, jsonText, milliseconds, priority, rowVerdict, timestamp, token, uuid } from './values.ts'

/** For each agent whose mailbox is in this process's memory, the lease token it runs under: its new messages are stamped with it. */
export const stamps = z.record(z.string(), token)

export const outgoingMessage = z.object({
  id: uuid.optional(),
  /** Left out or null: a broadcast. */
  to_agent: z.string().nullable().optional(),
  type: z.string().min(1),
  body: jsonText.optional(),
  content: z.string().optional(),
  message_type: z.enum(['command', 'alert', 'status', 'result']).optional(),
  priority: priority.optional(),
  expires_in_ms: milliseconds.optional(),
  delay_ms: milliseconds.optional(),
  reply_to: uuid.optional(),
  correlation_id: uuid.optional(),
  send_key: z.string().optional(),
  headers: jsonObject.optional(),
  /** The receiver keeps its mailbox in memory only; the row is a record. */
  log: z.boolean().optional(),
})
export type OutgoingMessage = z.input<typeof outgoingMessage>

const delivery = z.object({
  agent_id: z.string(),
  seq: z.int(),
  /** It belongs into the mailbox in memory that the stamps name. */
  stamped: z.boolean(),
  status: z.string(),
  /** Nobody by that name is registered yet. */
  unknown: z.literal(true).optional(),
})

/** What became of a message: new, with its deliveries; or known, with what its first sending led to. */
export const sentMessage = z.discriminatedUnion('verdict', [
  z.object({ verdict: z.literal('ok'), id: uuid, deliveries: z.array(delivery) }),
  z.object({
    verdict: z.literal('repeat'),
    id: uuid.optional(),
    /** As they are now. */
    deliveries: z.array(delivery).optional(),
    reply: jsonText.optional(),
    status: z.string().optional(),
    reason: z.string().optional(),
  }),
])
export type SentMessage = z.output<typeof sentMessage>

const sendVerdict = z.discriminatedUnion('verdict', [
  ...sentMessage.options,
  z.object({ verdict: z.literal('stale'), id: uuid.nullable() }),
  z.object({ verdict: z.literal('failed'), id: uuid.nullable(), code: z.string(), error: z.string() }),
])
export type SendVerdict = z.output<typeof sendVerdict>

export const refill = z.object({
  agent_id: z.string(),
  lease_token: token,
  limit: z.int().min(1).max(1000).optional(),
  /** What the incarnation holds or handles; everything else that is stamped for it is given again. */
  have: z.array(uuid).optional(),
})
export type Refill = z.input<typeof refill>

/** Anybody may have written it: what is odd about it concerns its receiver, and must not make the whole answer unreadable. */
export const waitingMessage = z.object({
  id: uuid,
  seq: z.int(),
  from_agent: z.string(),
  to_agent: z.string().nullable(),
  type: z.string().nullable(),
  message_type: z.string(),
  content: z.string().nullable(),
  body: z.string(),
  priority,
  headers: jsonObject.nullable(),
  correlation_id: uuid.nullable(),
  created_at: timestamp,
  attempts: z.int(),
  interruptions: z.int(),
  retry_in_ms: z.number().nullable(),
  expires_in_ms: z.number().nullable().catch(null), // of an end that never comes PostgreSQL makes a word
})
export type WaitingMessage = z.output<typeof waitingMessage>

export const takenMessages = z.array(
  z.object({
    agent_id: z.string(),
    verdict: z.enum(['ok', 'stale']),
    messages: z.array(waitingMessage),
    more: z.boolean().optional(),
    next_in_ms: z.number().nullable().optional(),
  }),
)
export type TakenMessages = z.output<typeof takenMessages>[number]

export const replies = z.array(
  z.object({
    id: uuid,
    status: z.enum(['waiting', 'replied', 'done', 'dead', 'unknown']),
    reply: jsonText.optional(),
    reason: z.string().optional(),
  }),
)
export type KnownReply = z.output<typeof replies>[number]

const deliveryVerdicts = z.array(z.object({ id: uuid, agent_id: z.string(), verdict: rowVerdict }))

export const messageFunctions = {
  send_messages: {
    args: z.object({
      p_batch: z.object({
        messages: z.array(outgoingMessage.extend({ from_agent: z.string().min(1), lease_token: token.optional() })),
        stamps: stamps.optional(),
      }),
    }),
    result: z.array(sendVerdict),
  },
  take_messages: { args: batchOf(refill), result: takenMessages },
  read_replies: { args: z.object({ p_ids: z.array(uuid) }), result: replies },
  replay_messages: { args: batchOf(z.object({ id: uuid, agent_id: z.string() })), result: deliveryVerdicts },
  drop_messages: { args: batchOf(z.object({ id: uuid, agent_id: z.string() })), result: deliveryVerdicts },
} as const
