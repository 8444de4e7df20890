import type { Delivery, Job, Message } from './message.ts'

/** What waits is one of three kinds; within a kind order is kept, between kinds these rules decide. */
type Kind = 'express' | 'job' | 'ordinary'
const preference = ['express', 'job', 'ordinary'] as const satisfies readonly Kind[]
/** So many of a kind in a row, then the kind that has waited longest gets its turn: nobody starves. */
const longestRun = 16

/**
 * Where new messages go: into memory, or, since it filled up, into the table until what waits there has been taken.
 * In `spilled` nothing may be put directly: it would overtake what waits in the table.
 */
export type MailboxMode = 'memory' | 'spilled'

/** The part of an actor's mailbox that is in memory. Times are monotonic ms, passed in. */
export type Mailbox = {
  readonly mode: MailboxMode
  /** Messages and jobs that wait here, held ones included. */
  readonly size: number
  /** How many of them are jobs. */
  readonly jobs: number
  /** When a held message may be tried again, at the earliest. */
  readonly wakesAt: number | undefined
  /** Adds messages that a commit or a refill gave to this incarnation, in their order. Filling up turns the mode to spilled. */
  put(messages: readonly Message[]): void
  putJob(job: Job): void
  /** How many to take from the table now: while spilled none before half of the room is free. */
  room(): number
  /** Ends a refill: `more` says whether the table holds others still. */
  refilled(more: boolean): void
  /** Something for this agent was left in the table. */
  spill(): void
  /** Takes the next delivery that may run now, if it fits. */
  next(now: number, fits?: (delivery: Delivery) => boolean): Delivery | undefined
  /** Takes up to `limit` messages that have expired unhandled; they are dead letters. */
  takeExpired(now: number, limit?: number): Message[]
  /** Puts a message back until `retryAt`; later ones of its sender wait behind it, those of others do not. */
  hold(message: Message, retryAt: number): void
  /** Takes jobs that wait: all, or the one that is named. */
  takeJobs(id?: string): Job[]
  /** Takes everything, as a stop does; what is not handled stays in the table. */
  clear(): Delivery[]
}

/** Creates an empty mailbox that holds about `capacity` messages: a commit under way may put a few more. */
export function createMailbox({ capacity }: { capacity: number }): Mailbox {
  const queues: { express: Message[]; ordinary: Message[]; job: Job[] } = { express: [], job: [], ordinary: [] }
  /** By sender, by place: the first waits for its retry, the others wait behind it. */
  const held = new Map<string, Message[]>()
  const chooser = createChooser()
  let mode: MailboxMode = 'memory'

  const size = () => {
    let count = queues.express.length + queues.job.length + queues.ordinary.length
    for (const messages of held.values()) count += messages.length
    return count
  }

  function admit(message: Message): void {
    const behind = held.get(message.from)
    if (message.retryAt === undefined) return insert(behind ?? queues[kindOf(message)], message)
    const messages = behind ?? []
    for (const one of [message, ...recall(message)]) insert(messages, one)
    held.set(message.from, messages)
  }

  /** Takes back what waits of a sender after one of its messages. */
  function recall({ from, seq }: Message): Message[] {
    const later: Message[] = []
    for (const kind of ['express', 'ordinary'] as const) {
      queues[kind] = queues[kind].filter((message) => {
        const isLater = message.from === from && message.seq > seq
        if (isLater) later.push(message)
        return !isLater
      })
    }
    return later
  }

  /** Lets go of what is due: up to the next message of the sender that itself waits for a retry. */
  function release(now: number): void {
    for (const [sender, messages] of held) {
      const stays = messages.findIndex(({ retryAt = now }) => retryAt > now)
      if (stays === 0) continue
      const due = stays === -1 ? messages : messages.splice(0, stays)
      if (stays === -1) held.delete(sender)
      for (const message of due) insert(queues[kindOf(message)], message)
    }
  }

  function headOf(kind: Kind): Delivery {
    return kind === 'job' ? { kind, job: queues.job[0] as Job } : { kind: 'message', message: queues[kind][0] as Message }
  }

  return {
    get mode() {
      return mode
    },
    get size() {
      return size()
    },
    get jobs() {
      return queues.job.length
    },
    get wakesAt() {
      let soonest: number | undefined
      for (const [first] of held.values()) soonest = Math.min(soonest ?? Number.POSITIVE_INFINITY, first?.retryAt ?? 0)
      return soonest
    },
    put(messages) {
      for (const message of messages) admit(message)
      if (size() >= capacity) mode = 'spilled'
    },
    putJob(job) {
      queues.job.push(job)
    },
    room() {
      const free = Math.max(0, capacity - size())
      return mode === 'memory' || free >= capacity / 2 ? free : 0
    },
    refilled(more) {
      mode = more || size() >= capacity ? 'spilled' : 'memory'
    },
    spill() {
      mode = 'spilled'
    },
    next(now, fits = () => true) {
      release(now)
      const kind = chooser.choose(preference.filter((one) => queues[one].length > 0))
      if (kind === undefined) return undefined
      const delivery = headOf(kind)
      if (!fits(delivery)) return undefined
      chooser.chosen(kind)
      queues[kind].shift()
      return delivery
    },
    takeExpired(now, limit = Number.POSITIVE_INFINITY) {
      const expired: Message[] = []
      const keep = (message: Message) => {
        const isAlive = message.expiresAt === undefined || message.expiresAt > now || expired.length >= limit
        if (!isAlive) expired.push(message)
        return isAlive
      }
      queues.express = queues.express.filter(keep)
      queues.ordinary = queues.ordinary.filter(keep)
      for (const [sender, messages] of held) {
        const kept = messages.filter(keep)
        if (kept.length > 0) held.set(sender, kept)
        else held.delete(sender)
      }
      return expired
    },
    hold(message, retryAt) {
      admit({ ...message, retryAt })
    },
    takeJobs(id) {
      const taken = queues.job.filter((job) => id === undefined || job.id === id)
      queues.job = queues.job.filter((job) => !taken.includes(job))
      return taken
    },
    clear() {
      const messages = [...queues.express, ...queues.ordinary, ...[...held.values()].flat()]
      const rest = [...messages.map((message) => ({ kind: 'message', message }) as const), ...this.takeJobs().map(asDelivery)]
      queues.express = []
      queues.ordinary = []
      held.clear()
      return rest
    },
  }
}

/** Prefers kinds in their order, but gives each its turn. */
function createChooser() {
  const lastTurn: Record<Kind, number> = { express: 0, job: 0, ordinary: 0 }
  let turn = 0
  let run: { kind: Kind | undefined; length: number } = { kind: undefined, length: 0 }

  return {
    choose(waiting: readonly Kind[]): Kind | undefined {
      const others = waiting.filter((kind) => kind !== run.kind)
      const isTired = run.length >= longestRun && others.length > 0
      return isTired ? others.reduce((one, other) => (lastTurn[other] < lastTurn[one] ? other : one)) : waiting[0]
    },
    chosen(kind: Kind): void {
      turn += 1
      lastTurn[kind] = turn
      run = { kind, length: kind === run.kind ? run.length + 1 : 1 }
    },
  }
}

/** Puts a message where its place is; nearly always that is the end. */
function insert(queue: Message[], message: Message): void {
  let at = queue.length
  while (at > 0 && (queue[at - 1] as Message).seq > message.seq) at -= 1
  queue.splice(at, 0, message)
}

function asDelivery(job: Job): Delivery {
  return { kind: 'job', job }
}

function kindOf(message: Message): 'express' | 'ordinary' {
  return message.priority === 'urgent' || message.priority === 'high' ? 'express' : 'ordinary'
}
