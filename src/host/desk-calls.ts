import type { Answer, HostFrame, ThreadFrame } from '../core/frames.ts'
import type { Delivery, Outgoing } from '../core/message.ts'
import type { Call } from '../core/turn-state.ts'
import type { SendVerdict } from '../store/functions/messages.ts'
import type { Office } from './desk-types.ts'
import { failed } from './requests.ts'
import { wireMessage } from './wire.ts'

export type DeskCallsOptions = {
  readonly agent: string
  readonly token: number
  readonly sql: readonly string[]
  readonly post: (frame: HostFrame) => void
  readonly office: Pick<Office, 'outbox' | 'router' | 'asks' | 'requests'>
}

/** So many messages from outside of turns may wait for the store; then there is no room for more. */
const mostWaiting = 10_000

/** Answers what an incarnation asks of the host while it runs. */
export function createDeskCalls({ agent, token, sql, post, office: { outbox, router, asks, requests } }: DeskCallsOptions) {
  const allowed = new Set(sql)
  /** By turn, what it handles; until it is committed, for that is how long its calls may take to leave. */
  const deliveries = new Map<number, Delivery>()
  /** Turns that have asked somebody and are not over. */
  const asking = new Set<number>()
  /** Of what came from outside of any turn: so many wait for the store. */
  let waiting = 0

  function answerOf({ turn, request }: Call, delivery: Delivery): Promise<Answer> | Answer {
    const by = { agent, token, turn, delivery }
    switch (request.kind) {
      case 'send':
        return send(request.message, request.key)
      case 'ask':
        return ask(turn, delivery, request)
      case 'stepStart':
        return requests.startStep(by, request.key)
      case 'stepFinish':
        return requests.finishStep(by, request.key, request.result)
      case 'function':
        return allowed.has(request.fn) ? requests.call(by, request) : refuse(request.fn)
      case 'read':
        return allowed.has(request.relation) ? requests.read(request.relation, request.filter, request.options) : refuse(request.relation)
    }
  }

  function ask(
    turn: number,
    delivery: Delivery,
    { key, message, timeout }: Extract<Call['request'], { kind: 'ask' }>,
  ): Promise<Answer> | Answer {
    const { to } = message
    if (to === null) return failed('ACTOR_NOT_FOUND', 'Nobody is named to be asked')
    const chain = delivery.kind === 'message' ? (delivery.message.chain ?? []) : []
    asking.add(turn)
    return asks.ask({ from: agent, token, turn, chain, key, message: { ...message, to }, timeout })
  }

  async function send(message: Outgoing, key?: string): Promise<Answer> {
    const sending = { ...wireMessage(message), id: message.id, from_agent: agent, lease_token: token }
    return sendAnswer(await outbox.send(key === undefined ? sending : { ...sending, send_key: key }))
  }

  /** Nobody holds up a socket's callback, so that what it sends needs a limit here. */
  async function sendInOrder(message: Outgoing): Promise<Answer> {
    if (waiting >= mostWaiting) return failed('MAILBOX_FULL', `${mostWaiting} messages of "${agent}" wait for the store`)
    waiting += 1
    try {
      return await send(message)
    } finally {
      waiting -= 1
    }
  }

  /** The turn is over: it waits for nothing any more. */
  function leave(turn: number): void {
    if (asking.delete(turn)) asks.leave(agent, turn)
  }

  async function reply(call: number, answer: Promise<Answer> | Answer): Promise<void> {
    post({ kind: 'answer', actor: agent, call, answer: await answer })
  }

  return {
    begin: (turn: number, delivery: Delivery): void => void deliveries.set(turn, delivery),
    delivery: (turn: number): Delivery | undefined => deliveries.get(turn),
    leave,
    end(turn: number): void {
      deliveries.delete(turn)
      leave(turn) // what it did not wait for may have left since it was over
    },
    answer(call: Call): void {
      const delivery = deliveries.get(call.turn)
      if (delivery) void reply(call.call, answerOf(call, delivery))
    },
    /** Sends what came from outside of any turn. */
    send({ call, message }: Extract<ThreadFrame, { kind: 'post' }>): void {
      const sending = { ...wireMessage(message), id: message.id, from_agent: agent, lease_token: token }
      // What waits for the store is not overtaken by what would need none.
      if (waiting > 0 || !router.burst(sending, agent)) return void reply(call, sendInOrder(message))
      outbox.record(sending)
      post({ kind: 'answer', actor: agent, call, answer: { ok: true, value: null } })
    },
  }
}

function refuse(name: string): Answer {
  return failed('MODULE_INVALID', `"${name}" is not in the actor file's list sql`)
}

function sendAnswer(verdict: SendVerdict): Answer {
  switch (verdict.verdict) {
    case 'ok':
    case 'repeat':
      return { ok: true, value: null }
    case 'stale':
      return failed('LEASE_LOST', 'The agent runs somewhere else now')
    case 'failed':
      return failed(verdict.code === 'MAILBOX_FULL' ? verdict.code : 'STORE_FAILED', verdict.error, verdict.code)
  }
}
