import type { Mailbox } from '../core/mailbox.ts'
import type { Message } from '../core/message.ts'
import type { OutgoingMessage, Refill, SentMessage, TakenMessages } from '../store/functions/messages.ts'
import type { AsyncMail } from './async-mail.ts'
import { type Clock, createAlarm } from './clock.ts'
import type { Passengers, Sending, Stamps } from './outbox.ts'
import { sentMessage, waitingMessage } from './wire.ts'

/** The mailbox of an incarnation that runs here, as its desk has it. */
export type Box = {
  /** A message is handled: it may not come again. */
  settled(id: string): void
  close(): void
}

export type BoxOptions = {
  readonly agent: string
  readonly token: number
  readonly mailbox: Pick<Mailbox, 'mode' | 'room' | 'put' | 'refilled' | 'spill'>
  /** The same, of an actor with `durability: async`. */
  readonly mail?: AsyncMail | undefined
  /** Something may have come, or is due. */
  readonly onMail: () => void
}

/** The mailboxes of this process. They are filled by commits that name them, and from the table, which is looked at now and then. */
export type Router = Pick<Passengers, 'mark' | 'stamps' | 'areDue' | 'refills' | 'refilled' | 'missed' | 'delivered'> & {
  open(options: BoxOptions): Box
  has(agent: string): boolean
  /** Puts a message into the memory of an actor here that wants no more than that. False: there is none, or no room. */
  burst(message: OutgoingMessage, from: string): boolean
  /** There may be something in the table: for the agent that is named, or for any. */
  wake(agent?: string): void
  close(): void
}

export type RouterOptions = {
  readonly clock: Clock
  /** Asks for a call that refills may ride on. */
  readonly nudge: () => void
  readonly random?: () => number
  /** Ms between two looks at the table, at random between these. */
  readonly poll?: { readonly min: number; readonly max: number }
}

type Local = BoxOptions & {
  /** The messages that are in the mailbox or being handled. */
  readonly hand: Set<string>
  /** When to look at the table. */
  dueAt: number
  /** The same, as far as it came up since the table was asked: an answer that is on its way does not know of it. */
  dueSince: number
}

const defaultPoll = { min: 1_000, max: 5_000 } as const
/** Refills that are due within so many ms go together. */
const together = 250
const largestRefill = 500

export function createRouter({ clock, nudge, random = Math.random, poll = defaultPoll }: RouterOptions): Router {
  const boxes = new Map<string, Local>()
  const alarm = createAlarm(clock, lookAgain)

  const pollDelay = () => poll.min + random() * (poll.max - poll.min)

  function due(box: Local, at: number): void {
    box.dueAt = Math.min(box.dueAt, at)
    box.dueSince = Math.min(box.dueSince, at)
    if (box.dueAt <= clock.now()) nudge()
    else alarm.sooner(box.dueAt)
  }

  /** The box in whose memory a message may go, with a row that is a record only. */
  function burstBox({ to_agent, delay_ms, expires_in_ms, headers }: OutgoingMessage): AsyncMail | undefined {
    const mail = boxes.get(to_agent ?? '')?.mail
    return mail?.mode === 'memory' && !delay_ms && expires_in_ms === undefined && !headers ? mail : undefined
  }

  function put(box: Local, messages: readonly Message[]): void {
    const fresh = messages.filter(({ id }) => !box.hand.has(id))
    for (const { id } of fresh) box.hand.add(id)
    box.mailbox.put(fresh)
  }

  function open(options: BoxOptions): Box {
    const { agent, mailbox } = options
    mailbox.spill() // what waits in the table comes first
    const box: Local = { ...options, hand: new Set(), dueAt: 0, dueSince: Number.POSITIVE_INFINITY }
    boxes.set(agent, box)
    nudge()
    return {
      settled(id) {
        box.hand.delete(id)
        // Without turns no later commit is sure to come that a refill could ride on.
        if (box.mail?.mode === 'spilled' && box.mail.room() > 0) nudge()
      },
      close() {
        if (boxes.get(agent) === box) boxes.delete(agent)
      },
    }
  }

  function isDue({ dueAt, mailbox }: Local, now: number): boolean {
    return (dueAt <= now + together || mailbox.mode === 'spilled') && mailbox.room() > 0
  }

  function refillOf(box: Local, now: number): Refill | undefined {
    if (!isDue(box, now)) return undefined
    const room = box.mailbox.room()
    box.dueSince = Number.POSITIVE_INFINITY
    // What is in hand is said each time: an answer that got lost is made good by the next one.
    return { agent_id: box.agent, lease_token: box.token, limit: Math.min(room, largestRefill), have: [...box.hand] }
  }

  function refill(box: Local, { messages, more = false, next_in_ms }: TakenMessages, now: number): void {
    put(
      box,
      messages.map((message) => waitingMessage(message, now)),
    )
    box.mailbox.refilled(more)
    box.dueAt = Math.min(box.dueSince, now + Math.min(next_in_ms ?? Number.POSITIVE_INFINITY, pollDelay()))
    if (more && box.mailbox.room() > 0) box.dueAt = now
  }

  function deliver(message: OutgoingMessage, from: string, sent: SentMessage, stamps: Stamps): void {
    const now = clock.now()
    for (const { agent_id, seq, stamped, status } of sent.deliveries ?? []) {
      const box = boxes.get(agent_id)
      if (message.log) box?.mail?.land(message.type, message.body ?? 'null', from)
      if (!box || message.log || box.hand.has(message.id ?? '')) continue
      if (status === 'scheduled') due(box, now + (message.delay_ms ?? 0))
      else if (status !== 'ready') continue
      // A repeated one may have been tried since it was sent: what is known of it is in the table.
      else if (stamped && stamps[agent_id] === box.token && sent.verdict === 'ok') {
        put(box, [sentMessage(message as Sending, from, seq, now)])
        box.onMail()
      } else {
        box.mailbox.spill()
        due(box, now)
      }
    }
  }

  /** Asks for a call for those that are due; who has no room is looked at later. */
  function lookAgain(): void {
    const now = clock.now()
    for (const box of boxes.values()) {
      if (box.dueAt > now) continue
      if (box.mailbox.room() > 0) nudge()
      else box.dueAt = now + pollDelay()
    }
    schedule()
  }

  function schedule(): void {
    alarm.clear()
    const now = clock.now()
    // Who is due still has been asked for, and may have no room by the time of the call.
    for (const { dueAt } of boxes.values()) alarm.sooner(dueAt > now ? dueAt : now + together)
  }

  return {
    open,
    has: (agent) => boxes.has(agent),
    burst(message, from) {
      const { type, body = 'null' } = message
      return burstBox(message)?.take(type, body, from) ?? false
    },
    mark: (message) => (burstBox(message) ? { ...message, log: true } : message),
    stamps(receivers) {
      const agents = receivers.has(null) ? boxes.keys() : receivers
      const stamps: Record<string, number> = {}
      for (const agent of agents) {
        const box = boxes.get(agent ?? '')
        if (box?.mailbox.mode === 'memory' && !box.mail) stamps[box.agent] = box.token
      }
      return stamps
    },
    areDue() {
      const now = clock.now()
      return boxes.values().some((box) => isDue(box, now))
    },
    refills() {
      const now = clock.now()
      return [...boxes.values()].flatMap((box) => refillOf(box, now) ?? [])
    },
    refilled(asked, taken) {
      const now = clock.now()
      for (const [index, answer] of taken.entries()) {
        const box = boxes.get(answer.agent_id)
        if (!box || box.token !== asked[index]?.lease_token) continue
        if (answer.verdict === 'ok') refill(box, answer, now)
        else box.dueAt = now + pollDelay() // its lease will say so too
        box.onMail()
      }
      lookAgain()
    },
    missed(refills) {
      for (const { agent_id } of refills) {
        const box = boxes.get(agent_id)
        if (box) box.dueAt = clock.now() + pollDelay()
      }
      schedule()
    },
    delivered(from, messages, sent, stamps) {
      for (const [index, message] of messages.entries()) {
        const one = sent[index]
        if (one) deliver(message, from, one, stamps)
      }
    },
    wake(agent) {
      for (const box of agent === undefined ? boxes.values() : [boxes.get(agent)]) if (box) box.dueAt = box.dueSince = 0
      nudge()
    },
    close() {
      alarm.clear()
      boxes.clear()
    },
  }
}
