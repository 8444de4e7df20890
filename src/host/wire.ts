import { randomUUID } from 'node:crypto'
import type * as z from 'zod'
import type { AgentSpec } from '../core/agent.ts'
import type { ErrorData, NewJob, TimerChange } from '../core/frames.ts'
import type { Delivery, Job, JsonText, Message, Outgoing } from '../core/message.ts'
import { storable } from '../core/storable.ts'
import type { TurnCommit } from '../core/turn-state.ts'
import type { Caller } from '../services/service.ts'
import type { ClaimedJob, newJob } from '../store/functions/jobs.ts'
import type { OutgoingMessage, WaitingMessage } from '../store/functions/messages.ts'
import type { Turn } from '../store/functions/turns.ts'
import { newMessageId } from '../worker/keys.ts'

/** What the store wants to know of a turn. Ids that the actor did not give are given here: only what has one can be repeated. */
export function wireTurn(record: TurnCommit, { agent, token }: { readonly agent: string; readonly token: number }): Turn {
  const { outcome, reason, error, retryIn, state, effects } = record
  return {
    agent_id: agent,
    lease_token: token,
    ...wireDelivery(record),
    outcome,
    ...(error && { error: errorText(error) }),
    ...(reason && { reason }),
    ...(retryIn !== undefined && { retry_in_ms: retryIn }),
    ...(state && { state }),
    ...wireReply(record),
    ...(effects && {
      ...(effects.messages.length > 0 && { messages: effects.messages.map(wireMessage) }),
      ...(effects.jobs.length > 0 && { jobs: effects.jobs.map(wireJob) }),
      ...(effects.timers.length > 0 && { timers: effects.timers.map(wireTimer) }),
      ...(effects.writes.length > 0 && { writes: effects.writes.map(({ fn, args }) => ({ fn, args: JSON.parse(args) })) }),
      ...(effects.steps && { steps: true }),
    }),
  }
}

function wireDelivery({ delivery, reply, outcome, isCounted, isTakenBack }: TurnCommit): Pick<Turn, 'message' | 'job' | 'turn_id'> {
  if (!delivery) return { turn_id: randomUUID() }
  if (delivery.kind === 'message') {
    const { id, attempts, interruptions } = delivery.message
    const counted = isCounted === true && (outcome === 'retry' || outcome === 'dead')
    return { message: { id, attempts, interruptions, ...(counted && { counted }), ...(isTakenBack && { taken_back: true }) } }
  }
  const { id, token } = delivery.job
  return { job: { id, lease_token: token, ...(outcome === 'done' && reply !== undefined && { result: JSON.parse(reply) }) } }
}

/** Who it is that uses a service in the turn of a delivery. */
export function callerOf({ team, id: agent, type }: AgentSpec, delivery: Delivery): Caller {
  const { id, type: name } = delivery.kind === 'message' ? delivery.message : delivery.job
  return { team, agent, type, source: delivery.kind, id, name }
}

/** Only who asked gets a reply. */
function wireReply({ delivery, outcome, reply }: TurnCommit): Pick<Turn, 'reply'> {
  if (delivery?.kind !== 'message' || outcome !== 'done' || reply === undefined || !delivery.message.chain) return {}
  return { reply: { id: newMessageId(), to_agent: delivery.message.from, body: reply } }
}

/** A message as the store takes it. */
export function wireMessage({ id, to, type, body, priority, expiresIn, delay }: Outgoing): OutgoingMessage {
  return {
    id,
    to_agent: to,
    type,
    body,
    ...(to === null && { message_type: 'alert', ...contentOf(body) }),
    ...(priority && { priority }),
    ...(expiresIn !== undefined && { expires_in_ms: expiresIn }),
    ...(delay !== undefined && { delay_ms: delay }),
  }
}

/** Agents of the original system show the content of an alert, and do not look into its payload. */
function contentOf(body: string): Pick<OutgoingMessage, 'content'> {
  const said: unknown = JSON.parse(body)
  const text: unknown = typeof said === 'object' && said !== null ? Reflect.get(said, 'text') : said
  return typeof text === 'string' ? { content: storable(text, 10_000) } : {}
}

function wireJob({ id, type, payload, priority, dedupeKey, delay, maxAttempts, target }: NewJob): z.input<typeof newJob> {
  return {
    id,
    job_type: type,
    payload: JSON.parse(payload),
    ...(priority !== undefined && { priority }),
    ...(dedupeKey !== undefined && { dedupe_key: dedupeKey }),
    ...(delay !== undefined && { delay_ms: delay }),
    ...(maxAttempts !== undefined && { max_attempts: maxAttempts }),
    ...(target !== undefined && { target_agent: target }),
  }
}

function wireTimer(timer: TimerChange): NonNullable<Turn['timers']>[number] {
  if ('cancel' in timer) return { name: timer.name, cancel: true }
  const { name, type, body, every, dueIn } = timer
  return { name, type, body, due_in_ms: dueIn, ...(every !== undefined && { every_ms: every }) }
}

/** A message that went straight from its commit into a mailbox here. */
export function sentMessage(sent: OutgoingMessage & { readonly id: string }, from: string, seq: number, now: number): Message {
  const { id, to_agent = null, type, body = 'null', priority = 'normal', expires_in_ms, headers } = sent
  return {
    id,
    seq,
    from,
    type,
    body,
    priority,
    attempts: 0,
    interruptions: 0,
    ...(expires_in_ms !== undefined && { expiresAt: now + expires_in_ms }),
    ...(to_agent === null && { isBroadcast: true as const }),
    ...askOf(headers),
  }
}

/** A message that waited in the table. */
export function waitingMessage(waiting: WaitingMessage, now: number): Message {
  const { id, seq, from_agent: from, to_agent, type, message_type, body, priority, attempts, interruptions } = waiting
  const { retry_in_ms, expires_in_ms } = waiting
  return {
    id,
    seq,
    from,
    // Agents of the original system need not say more than that it is a command.
    type: type ?? message_type,
    body,
    priority,
    attempts,
    interruptions,
    ...(retry_in_ms !== null && { retryAt: now + retry_in_ms }),
    ...(expires_in_ms !== null && { expiresAt: now + expires_in_ms }),
    ...(to_agent === null && { isBroadcast: true as const }),
    ...askOf(waiting.headers ?? undefined),
  }
}

function askOf(headers: Readonly<Record<string, unknown>> | undefined): Pick<Message, 'chain'> {
  if (headers?.ask !== true) return {}
  const chain = Array.isArray(headers.chain) ? headers.chain.filter((one) => typeof one === 'string') : []
  return { chain }
}

/** A job as its claim gave it. */
export function claimedJob(claimed: ClaimedJob): Job {
  const { job_id, job_type, payload, attempt, max_attempts, lease_token } = claimed
  return { id: job_id, type: job_type, payload: inputText(payload), attempt, maxAttempts: max_attempts, token: lease_token }
}

/** Somebody's input may be nested deeper than it can be written: it is no JSON then, which is for its turn to say. */
function inputText(payload: unknown): JsonText {
  try {
    return JSON.stringify(payload)
  } catch {
    return ''
  }
}

/** About how many bytes of a call a turn takes; its texts are nearly all of it. */
export function sizeOf(record: TurnCommit): number {
  const { reply = '', state, effects, error } = record
  let size = 500 + reply.length + (state?.value.length ?? 0) + (error?.message.length ?? 0)
  for (const { body } of effects?.messages ?? []) size += 300 + body.length
  for (const { payload } of effects?.jobs ?? []) size += 300 + payload.length
  for (const { args } of effects?.writes ?? []) size += 100 + args.length
  return size + 200 * (effects?.timers.length ?? 0)
}

/** An error in a line, as dead letters keep it. */
export function errorText({ code, name, message }: ErrorData): string {
  return storable(`${code ?? name}: ${message}`, 4_000)
}
