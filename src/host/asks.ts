import type { Code } from '../core/errors.ts'
import type { Answer, ErrorData } from '../core/frames.ts'
import type { JsonText, Outgoing } from '../core/message.ts'
import type { KnownReply, SendVerdict } from '../store/functions/messages.ts'
import { uuidOf } from '../worker/keys.ts'
import { findCycle } from './ask-cycle.ts'
import { type Clock, createAlarm } from './clock.ts'
import type { Outbox, Passengers } from './outbox.ts'
import { wireMessage } from './wire.ts'

/** A question, and who waits for its answer. */
export type Question = {
  readonly from: string
  /** Of the asker's incarnation; absent for one from outside. */
  readonly token?: number
  /** The asker's turn, in its incarnation. */
  readonly turn?: number
  /** The actors that wait for the asker's own answer, the first one first. */
  readonly chain: readonly string[]
  /** Makes a repeated question the same. */
  readonly key: string
  readonly message: Outgoing & { readonly to: string }
  readonly timeout: number
}

/** The asks of this process that wait for a reply. */
export type Asks = Pick<Passengers, 'awaiting' | 'replied'> & {
  ask(question: Question): Promise<Answer>
  /** The question was answered here, by a commit that stands. */
  settled(id: string, reply: JsonText): void
  /** The question is a dead letter. */
  died(id: string, reason: string, error: ErrorData | undefined): void
  /** Nobody answers for this agent now. */
  down(agent: string): void
  /** Its turn is over: what it asked may be answered still, but holds nobody up. */
  leave(agent: string, turn: number): void
  /** Its incarnation has ended: nobody waits for what it asked. */
  forget(agent: string): void
  close(): void
}

export type AsksOptions = {
  readonly outbox: Pick<Outbox, 'send' | 'nudge'>
  readonly clock: Clock
  /** Whether its mailbox is here: then the reply comes with the commit. */
  readonly isLocal: (agent: string) => boolean
  /** Whether it is known not to run, such as in quarantine. */
  readonly isDown: (agent: string) => boolean
  readonly random?: () => number
}

type Pending = {
  readonly question: Question
  readonly deadline: number
  isUnknown: boolean
  /** The asker goes on only with its answer. */
  isWaited: boolean
  /** When to look for its reply in the table. */
  lookAt: number
  looks: number
  settle(answer: Answer): void
}

const look = { first: 100, max: 2_000, local: 5_000 } as const
/** Replies that are looked for in one call. */
const most = 200
/** A question that was answered by failure is asked anew when it is repeated, so often. */
const mostRepeats = 10

export function createAsks({ outbox, clock, isLocal, isDown, random = Math.random }: AsksOptions): Asks {
  const pending = new Map<string, Pending>()
  const alarm = createAlarm(clock, tick)

  function tick(): void {
    const now = clock.now()
    for (const [id, { deadline, question, isUnknown }] of pending) {
      if (deadline > now) continue
      const { to } = question.message
      if (isUnknown) fail(id, 'ACTOR_NOT_FOUND', `There is no agent "${to}"`)
      else fail(id, 'ASK_TIMEOUT', `"${to}" did not answer within ${question.timeout} ms`)
    }
    lookNow()
  }

  function lookNow(): void {
    if (awaiting(clock.now()).length > 0) outbox.nudge()
    schedule()
  }

  function schedule(): void {
    const now = clock.now()
    let soonest: number | undefined
    for (const { deadline, lookAt } of pending.values()) {
      // While a call is under way that may have it, another would be asked for at once, and again.
      soonest = Math.min(soonest ?? deadline, deadline, lookAt > now ? lookAt : now + look.first)
    }
    alarm.set(soonest)
  }

  function awaiting(now: number): string[] {
    const ids: string[] = []
    for (const [id, { lookAt }] of pending) if (lookAt <= now && ids.length < most) ids.push(id)
    return ids
  }

  function settle(id: string, answer: Answer): void {
    const one = pending.get(id)
    pending.delete(id)
    one?.settle(answer)
  }

  function fail(id: string, code: Code, message: string, cause?: ErrorData): void {
    settle(id, { ok: false, error: { name: 'ActorError', code, message, ...(cause && { cause }) } })
  }

  function died(id: string, reason: string, error?: ErrorData): void {
    const to = pending.get(id)?.question.message.to
    if (reason === 'expired') fail(id, 'ASK_TIMEOUT', `"${to}" did not get to the question in time`)
    else fail(id, 'HANDLER_FAILED', `"${to}" could not answer: ${reason}${error ? `: ${error.message}` : ''}`, error)
  }

  /** The reply of an agent that runs here comes with its commit; it is looked for only in case the agent has moved. */
  function nextLook({ question, looks }: Pick<Pending, 'question' | 'looks'>): number {
    return isLocal(question.message.to) ? look.local : Math.min(look.max, look.first * 1.5 ** looks)
  }

  function waitFor(question: Question, id: string): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>()
    const now = clock.now()
    const lookAt = now + nextLook({ question, looks: 0 })
    pending.set(id, { question, deadline: now + question.timeout, isUnknown: false, isWaited: true, lookAt, looks: 0, settle: resolve })
    schedule()
    return promise
  }

  async function send(question: Question, id: string, repeats: number): Promise<void> {
    const { from, token, chain, message, timeout } = question
    const sending = {
      ...wireMessage({ ...message, id, expiresIn: timeout }),
      id,
      from_agent: from,
      ...(token !== undefined && { lease_token: token }),
      send_key: keyOf(question, repeats),
      headers: { ask: true, chain: [...chain, from] },
    }
    const verdict = await outbox.send(sending, () => pending.has(id))
    if (isDead(verdict) && repeats < mostRepeats && pending.has(id)) {
      // Only a reply is kept: after a failure the same question is a new one.
      const again = uuidOf([keyOf(question, repeats + 1)])
      const one = pending.get(id) as Pending
      pending.delete(id)
      pending.set(again, one)
      return send(question, again, repeats + 1)
    }
    take(id, verdict)
  }

  function take(id: string, verdict: SendVerdict): void {
    const one = pending.get(id)
    switch (verdict.verdict) {
      case 'ok':
        if (one) one.isUnknown = verdict.deliveries.some(({ unknown }) => unknown === true)
        return
      case 'repeat':
        if (verdict.reply !== undefined) return settle(id, { ok: true, value: verdict.reply })
        if (verdict.status === 'done') return settle(id, { ok: true, value: null })
        if (isDead(verdict)) return died(id, verdict.reason ?? 'dropped')
        if (one) one.lookAt = clock.now() + look.first
        return schedule()
      case 'stale':
        return fail(id, 'LEASE_LOST', 'The agent runs somewhere else now')
      case 'failed':
        return fail(id, verdict.code === 'MAILBOX_FULL' ? verdict.code : 'STORE_FAILED', verdict.error)
    }
  }

  function learn({ id, status, reply, reason }: KnownReply): void {
    const one = pending.get(id)
    if (!one) return
    if (status === 'replied' || status === 'done') return settle(id, { ok: true, value: reply ?? null })
    if (status === 'dead') return died(id, reason ?? 'dropped')
    one.looks += 1
    one.lookAt = clock.now() + nextLook(one) * (0.75 + random() / 2)
  }

  /** Why the question need not be asked at all. */
  function refusal({ from, chain, message: { to } }: Question): Answer | undefined {
    const waits = [...pending.values()]
      .filter(({ isWaited }) => isWaited)
      .map(({ question }) => ({ from: question.from, to: question.message.to }))
    const cycle = findCycle({ from, to, chain: [...chain, from] }, waits)
    if (cycle) return refused('ASK_CYCLE', `${cycle.join(' waits for ')}: nobody could ever answer`)
    return isDown(to) ? refused('ACTOR_DOWN', `"${to}" does not run`) : undefined
  }

  return {
    async ask(question) {
      const answer = refusal(question)
      if (answer) return answer
      const { id } = question.message
      const reply = waitFor(question, id)
      void send(question, id, 0) // it may take longer than anybody waits for the reply
      return reply
    },
    settled: (id, value) => settle(id, { ok: true, value }),
    died,
    down(agent) {
      for (const [id, { question }] of pending) if (question.message.to === agent) fail(id, 'ACTOR_DOWN', `"${agent}" does not run`)
    },
    leave(agent, turn) {
      for (const one of pending.values()) if (one.question.from === agent && one.question.turn === turn) one.isWaited = false
    },
    forget(agent) {
      for (const [id, { question }] of pending) if (question.from === agent) fail(id, 'STOPPED', `"${agent}" has ended`)
    },
    awaiting: () => awaiting(clock.now()),
    replied(replies) {
      for (const one of replies) learn(one)
      if (replies.length > 0) lookNow()
    },
    close() {
      alarm.clear()
      for (const id of [...pending.keys()]) fail(id, 'STOPPED', 'The process ends')
    },
  }
}

/** The same in every run of its turn, as is the id that is made of it. */
function keyOf({ key }: Question, repeats: number): string {
  return repeats === 0 ? key : `${key}~${repeats}`
}

function isDead(verdict: SendVerdict): boolean {
  return verdict.verdict === 'repeat' && (verdict.status === 'dead' || verdict.status === 'dropped') && verdict.reply === undefined
}

function refused(code: Code, message: string): Answer {
  return { ok: false, error: { name: 'ActorError', code, message } }
}
