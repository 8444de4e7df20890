import type { KnownReply, OutgoingMessage, Refill, SendVerdict, SentMessage, TakenMessages } from '../store/functions/messages.ts'
import type { Turn, TurnVerdict } from '../store/functions/turns.ts'
import type { Store } from '../store/store.ts'
import { takeBatch } from './batch.ts'
import { bisect } from './bisect.ts'
import type { Clock } from './clock.ts'
import { createFlights } from './flights.ts'
import { isAboutData, type Patience, timeoutsFor } from './patience.ts'

/** A turn on its way to the store. */
export type Entry = {
  /** Its incarnation: what it hands over is committed in that order. */
  readonly owner: object
  readonly turn: Turn
  readonly bytes: number
  onVerdict(verdict: TurnVerdict): void
}

/** A message from an agent that does not wait for a commit. */
export type Sending = OutgoingMessage & { readonly id: string; readonly from_agent: string; readonly lease_token?: number }

/** The tokens of the incarnations whose mailboxes take messages at once. */
export type Stamps = Readonly<Record<string, number>>

/** The node's mailboxes and asks ride on the outbox's calls: so that what is put and what is taken have one order. */
export type Passengers = {
  /** Notes on a message that its row is a record only: its receiver has it in memory and nowhere else. */
  mark<Given extends OutgoingMessage>(message: Given): Given
  /** Of these receivers (null is everybody) those that take what comes at once. */
  stamps(receivers: ReadonlySet<string | null>): Stamps
  /** Whether a mailbox wants to take from the table, now or soon. */
  areDue(): boolean
  refills(): readonly Refill[]
  refilled(asked: readonly Refill[], taken: readonly TakenMessages[]): void
  /** Their call came to nothing. */
  missed(refills: readonly Refill[]): void
  /** What became of the messages of one turn, or of one that left at once. */
  delivered(from: string, messages: readonly OutgoingMessage[], sent: readonly SentMessage[], stamps: Stamps): void
  awaiting(): readonly string[]
  replied(replies: readonly KnownReply[]): void
}

/** Everything of this process that changes mailboxes goes through here; of one agent there is one call at a time. */
export type Outbox = {
  commit(entry: Entry): void
  /** Withdraws what an incarnation has handed over and is not under way. */
  discard(owner: object): void
  /** Sends a message at once; `isWanted` is asked again before it leaves. */
  send(message: Sending, isWanted?: () => boolean): Promise<SendVerdict>
  /** Writes down a message that was delivered already; the oldest are given up when there are too many. */
  record(message: Sending): void
  /** A passenger wants to go. */
  nudge(): void
  /** Resolves when everything that was handed over is answered. */
  flush(): Promise<void>
  /** Waits up to `grace` ms for what is left; the rest is handled again by whoever has the agents then. */
  close(options: { readonly grace: number }): Promise<void>
}

export type OutboxOptions = {
  readonly store: Pick<Store, 'call'>
  readonly passengers: Passengers
  readonly patience: Patience
  readonly clock: Clock
}

const limits = { items: 64, bytes: 2 ** 20 } as const
const recordLimits = { items: 500, bytes: 2 ** 20 } as const
const mostRecords = 10_000
/** Commits under way at the same time. Measured: a third brings no more. */
const mostFlights = 2
/** A second one is worth its call from so many turns on; until then what comes gathers. */
const worthACall = limits.items / 2

type Sent = { readonly message: Sending; readonly bytes: number; readonly isWanted: () => boolean; resolve(verdict: SendVerdict): void }

/**
 * Makes the outbox of a process. While calls are under way what comes gathers, and goes with the next one. Two commits may be under
 * way at the same time, about different agents: so one agent's turns keep their order, and the database works while this process
 * takes up its answers.
 */
export function createOutbox({ store, passengers, patience, clock }: OutboxOptions): Outbox {
  let turns: Entry[] = []
  const sends: Sent[] = []
  const records: { readonly message: Sending; readonly bytes: number }[] = []
  const flights = createFlights()
  const closed = new AbortController()
  const { signal } = closed
  const waiting: (() => void)[] = []
  let phase: 'idle' | 'working' = 'idle'
  let isNudged = false
  let arrival = Promise.withResolvers<void>()

  function wake(): void {
    arrival.resolve()
    if (phase === 'working' || signal.aborted) return
    phase = 'working'
    // What the same stretch of code hands over goes together.
    queueMicrotask(() => void work())
  }

  async function work(): Promise<void> {
    while (!signal.aborted && (isNudged || turns.length + sends.length + records.length + flights.size > 0)) {
      arrival = Promise.withResolvers()
      if (isNudged || sends.length + records.length > 0 || passengers.areDue()) await goAlone()
      else if (mayTakeOff()) takeOff()
      else await Promise.race([flights.landing(), arrival.promise])
    }
    phase = 'idle'
    for (const resolve of waiting.splice(0)) resolve()
  }

  /** Does what must not go beside another call: what is put into mailboxes and what is taken from the table have one order. */
  async function goAlone(): Promise<void> {
    await flights.landed()
    if (isNudged || turns.length > 0) await commitWithPassengers()
    if (sends.length > 0) await bisect(takeWanted(), sendAll, refuseSend)
    if (records.length > 0) await bisect(takeBatch(records, recordLimits), recordAll, () => {})
  }

  function mayTakeOff(): boolean {
    if (flights.size === 0) return turns.length > 0
    return flights.size < mostFlights && turns.length >= worthACall && turns.filter(isFree).length >= worthACall
  }

  function isFree({ turn }: Entry): boolean {
    return !flights.has(turn.agent_id)
  }

  function takeOff(): void {
    const { free = [], held = [] } = Object.groupBy(turns, (entry) => (isFree(entry) ? 'free' : 'held'))
    const batch = takeBatch(free, limits)
    turns = [...held, ...free]
    flights.start(
      batch.map(({ turn }) => turn.agent_id),
      () => commitBatch(batch),
    )
  }

  async function commitWithPassengers(): Promise<void> {
    isNudged = false
    const batch = takeBatch(turns, limits)
    const refills = [...passengers.refills()]
    const awaiting = [...passengers.awaiting()]
    if (batch.length + refills.length + awaiting.length > 0) await commitBatch(batch, refills, awaiting)
  }

  async function commitBatch(taken: readonly Entry[], refills: Refill[] = [], awaiting: string[] = []): Promise<void> {
    const batch = taken.map(marked)
    const stamps = stampsFor(batch)
    try {
      const call = { turns: batch.map(({ turn }) => turn), stamps, refills, awaiting }
      const answer = await patience.insist(() => store.call('commit_turns', { p_batch: call }, { signal }), signal, 1)
      if (!answer) return
      for (const [index, entry] of batch.entries()) settle(entry, answer.turns[index], stamps)
      if (refills.length > 0) passengers.refilled(refills, answer.refills)
      passengers.replied(answer.replies)
    } catch (error) {
      if (!isAboutData(error)) throw error
      await commitParts(batch)
      // What is wrong may be in the table, in the mail of one of them; what they have in hand has changed.
      if (refills.length > 0) await bisect(passengers.refills(), refillSome, (refill) => passengers.missed([refill]))
    }
  }

  async function refillSome(refills: readonly Refill[]): Promise<void> {
    const call = { turns: [], refills: [...refills] }
    const answer = await patience.insist(() => store.call('commit_turns', { p_batch: call }, { signal }), signal, timeoutsFor(refills))
    if (answer) passengers.refilled(refills, answer.refills)
  }

  /** Commits what the database refused as a whole. An actor's later turns do not go on without an earlier one. */
  async function commitParts(batch: readonly Entry[]): Promise<void> {
    const fallen = new Set<object>()
    const commitStanding = async (standing: readonly Entry[]) => {
      const stamps = stampsFor(standing)
      const call = { turns: standing.map(({ turn }) => turn), stamps }
      const answer = await patience.insist(() => store.call('commit_turns', { p_batch: call }, { signal }), signal, timeoutsFor(standing))
      for (const [index, verdict] of (answer?.turns ?? []).entries()) {
        const entry = standing[index] as Entry
        if (verdict.verdict === 'stale' || verdict.verdict === 'failed') fallen.add(entry.owner)
        settle(entry, verdict, stamps)
      }
    }
    const commit = async (part: readonly Entry[]) => {
      const { standing = [], following = [] } = Object.groupBy(part, ({ owner }) => (fallen.has(owner) ? 'following' : 'standing'))
      if (standing.length > 0) await commitStanding(standing)
      for (const entry of following) entry.onVerdict({ verdict: 'stale', reason: 'follows' })
    }
    await bisect(batch, commit, (entry, error) => {
      fallen.add(entry.owner)
      entry.onVerdict({ verdict: 'failed', ...failure(error.message) })
    })
  }

  function stampsFor(batch: readonly Entry[]): Stamps {
    return passengers.stamps(receiversOf(batch.flatMap(({ turn }) => turn.messages ?? [])))
  }

  // Not before it leaves: until then the mailbox it is for may fill up, or be overtaken by what waits in the table.
  function marked({ turn, ...entry }: Entry): Entry {
    const { messages } = turn
    return { ...entry, turn: messages ? { ...turn, messages: messages.map((message) => passengers.mark(message)) } : turn }
  }

  function settle(entry: Entry, verdict: TurnVerdict | undefined, stamps: Stamps): void {
    if (!verdict) return
    const { turn } = entry
    if ('messages' in verdict && verdict.messages) passengers.delivered(turn.agent_id, turn.messages ?? [], verdict.messages, stamps)
    entry.onVerdict(verdict)
  }

  function takeWanted(): Sent[] {
    return takeBatch(sends, limits).filter((sent) => {
      const isWanted = sent.isWanted()
      if (!isWanted) sent.resolve({ verdict: 'failed', id: sent.message.id, code: 'ASK_TIMEOUT', error: 'Nobody waits for it any more' })
      return isWanted
    })
  }

  async function sendAll(batch: readonly Sent[]): Promise<void> {
    const messages = batch.map(({ message }) => passengers.mark(message))
    const stamps = passengers.stamps(receiversOf(messages))
    const call = { messages, stamps }
    const answer = await patience.insist(() => store.call('send_messages', { p_batch: call }, { signal }), signal, timeoutsFor(batch))
    for (const [index, sent] of batch.entries()) {
      const message = messages[index] as Sending
      const verdict = answer?.[index]
      if (verdict?.verdict === 'ok' || verdict?.verdict === 'repeat') passengers.delivered(message.from_agent, [message], [verdict], stamps)
      if (verdict) sent.resolve(verdict)
      else refuseSend(sent, new Error('The process ends'))
    }
  }

  async function recordAll(batch: readonly { readonly message: Sending }[]): Promise<void> {
    const messages = batch.map(({ message }) => message)
    await patience.insist(() => store.call('send_messages', { p_batch: { messages } }, { signal }), signal, timeoutsFor(batch))
  }

  function flush(): Promise<void> {
    if (phase === 'idle') return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.push(resolve)
    return promise
  }

  return {
    commit(entry) {
      turns.push(entry)
      if (phase === 'idle' || turns.length >= worthACall) wake()
    },
    discard(owner) {
      turns = turns.filter((entry) => entry.owner !== owner)
    },
    send(message, isWanted = () => true) {
      const { promise, resolve } = Promise.withResolvers<SendVerdict>()
      const sent = { message, bytes: sizeOf(message), isWanted, resolve }
      if (signal.aborted) refuseSend(sent, new Error('The process ends'))
      else sends.push(sent)
      wake()
      return promise
    },
    record(message) {
      if (signal.aborted) return
      if (records.length >= mostRecords) records.splice(0, recordLimits.items)
      records.push({ message: { ...message, log: true }, bytes: sizeOf(message) })
      wake()
    },
    nudge() {
      isNudged = true
      wake()
    },
    flush,
    async close({ grace }) {
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const cancel = clock.after(grace, resolve)
      await Promise.race([flush(), late])
      cancel()
      closed.abort()
      turns = []
      for (const sent of sends.splice(0)) refuseSend(sent, new Error('The process ends'))
    },
  }
}

function sizeOf({ body = '' }: OutgoingMessage): number {
  return 300 + body.length
}

function refuseSend({ message, resolve }: Sent, error: Error): void {
  resolve({ verdict: 'failed', id: message.id, ...failure(error.message) })
}

function receiversOf(messages: readonly OutgoingMessage[]): ReadonlySet<string | null> {
  return new Set(messages.map(({ to_agent = null }) => to_agent))
}

function failure(error: string): { readonly code: string; readonly error: string } {
  return { code: 'STORE_FAILED', error }
}
