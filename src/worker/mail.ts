import type { Context, SendOptions } from '../actor.ts'
import type { ErrorData, HostFrame, ThreadFrame } from '../core/frames.ts'
import { limitOf, type TurnLimits } from '../core/turn-limit.ts'
import { type Abort, createAbort } from './abort.ts'
import { refusals } from './always.ts'
import { endings } from './context.ts'
import { toErrorData } from './error-data.ts'
import { asActorError, handlerOf, parseBody, parseValue } from './handle.ts'
import { toJson } from './json.ts'
import { newMessageId } from './keys.ts'
import { inTime } from './mail-limit.ts'
import { makeMessage } from './outgoing.ts'
import { freezeTop } from './state.ts'
import { closeTurn, leaveTurn, openTurn, type Resident, type Turn } from './turn.ts'
import { createTurnHttp } from './turn-http.ts'

export type MailFrame = Extract<HostFrame, { kind: 'mail' }>
export type Acks = Extract<ThreadFrame, { kind: 'acks' }>

const needsCommit = ['ask', 'step', 'id', 'every', 'after', 'cancel', 'jobs.create', 'db.write', 'db.call', 'db.read']
const needsTurn = ['llm.text', 'llm.object', 'compute']

/** Handles mail of `durability: async`: in order, without commits. All of it shares one ctx, as nothing is collected in it. */
export function createMail(actor: Resident, limits: TurnLimits) {
  let from: string | null = null
  let abort = createAbort()
  let type = ''
  let open: { readonly turn: Turn; readonly http: Context['http'] } | undefined
  const ctx = createMailContext(actor, { from: () => from, abort: () => abort, http: httpNow })

  /** A message is a turn for the requests that are to end with it; few ask for one. */
  function httpNow(): Context['http'] {
    if (open) return open.http
    const turn = openTurn(0, `message "${type}"`, abort)
    open = { turn, http: createTurnHttp(actor, turn) }
    return open.http
  }

  /** Gives what the handler gives: a promise only if it needs one. */
  function deliver(type: string, text: string, read: { readonly value: unknown } | undefined): unknown {
    const handler = handlerOf(actor, 'message', type)
    const parsed = read ? parseValue(actor, 'message', type, read.value) : parseBody(actor, 'message', type, text)
    return parsed instanceof Promise ? parsed.then((one) => handler(one, ctx)) : handler(parsed, ctx)
  }

  return {
    async handle({ actor: id, first, items }: MailFrame): Promise<Acks> {
      const bodies = readBodies(items)
      const failed: { number: number; error: ErrorData }[] = []
      let isHung = false
      let upTo = first - 1
      for (let at = 0; at < items.length && !isHung; at += 3) {
        upTo += 1
        type = items[at] ?? type
        from = items[at + 2] ?? from
        const before = actor.state.value
        if (abort.reason) abort = createAbort()
        try {
          const result = deliver(type, items[at + 1] ?? '', bodies && { value: bodies[at / 3] })
          if (isThenable(result)) isHung = (await inTime(result, limitOf(limits, type), abort)) === 'hung'
          if (isHung) throw abort.reason
          if (open) closeTurn(open.turn, undefined)
        } catch (thrown) {
          actor.state.value = before
          failed.push({ number: upTo, error: toErrorData(asActorError(thrown, `message "${type}"`)) })
        }
        if (open) leaveTurn(actor, open.turn)
        open = undefined
      }
      return { kind: 'acks', actor: id, upTo, failed, ...(isHung && { isHung }) }
    },
    get abort() {
      return abort
    },
  }
}

/** Characters of bodies that are read at once: beyond it, reading is not what takes the time, and memory counts. */
const readLimit = 2 ** 16

/** Reads the bodies of a batch at once, which takes less time than each alone; undefined when they are better read one by one. */
function readBodies(items: readonly (string | null)[]): readonly unknown[] | undefined {
  let text = ''
  for (let at = 1; at < items.length; at += 3) text += at === 1 ? items[at] : `,${items[at]}`
  if (text.length > readLimit) return undefined
  try {
    const bodies: unknown = JSON.parse(`[${text}]`)
    return Array.isArray(bodies) && bodies.length === items.length / 3 ? bodies : undefined
  } catch {
    return undefined // the one that is no JSON is to fail alone
  }
}

type Current = { readonly from: () => string | null; readonly abort: () => Abort; readonly http: () => Context['http'] }

function createMailContext(actor: Resident, current: Current): Context {
  /** Leaves at once: there is no commit to wait for. */
  function send(by: string, to: string | null, type: string, body: unknown, options?: SendOptions): Promise<void> {
    return actor.calls.post(makeMessage({ by, id: newMessageId(), to, type, body: toJson(body, 'body') }, options)).then(() => undefined)
  }
  const lost = (error: unknown) => actor.log.error('A message from a mailbox with durability: async was lost', { err: error })
  const given = {
    ...actor.always,
    ...refusals(needsCommit, 'needs a commit, and the mailbox of this agent has durability: async'),
    ...refusals(needsTurn, 'is for turns, which mail of an agent with durability: async is not: let a job do it, or another agent'),
    ...endings,
    attempt: 1,
    get from() {
      return current.from()
    },
    get signal() {
      return current.abort().signal
    },
    get http() {
      return current.http()
    },
    get state() {
      return actor.state.value
    },
    set state(next) {
      actor.state.value = freezeTop(next)
    },
    tell(to: string, type: string, body?: unknown, options?: SendOptions & { readonly now?: boolean }) {
      const sent = send('ctx.tell', to, type, body, options)
      if (options?.now) return sent
      sent.catch(lost)
      return undefined
    },
    broadcast(subject: string, body?: unknown, options?: SendOptions) {
      send('ctx.broadcast', null, subject, body, options).catch(lost)
    },
  }
  return given as unknown as Context
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
