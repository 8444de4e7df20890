import type { ErrorData, HostFrame, ThreadFrame } from '../core/frames.ts'
import type { MailboxMode } from '../core/mailbox.ts'
import type { Message } from '../core/message.ts'
import { suspectFrom } from '../core/turn-handed.ts'

/** Mail that failed: what it was, and its row if it has one that says more than a record. */
export type FailedMail = { readonly type: string; readonly row: Message | undefined; readonly error: ErrorData }

export type AsyncMailOptions = {
  readonly agent: string
  readonly capacity: number
  readonly post: (frame: HostFrame) => void
  /** Mail that waited in the table is handled, or has failed. */
  readonly onHandled: (rows: readonly Message[]) => void
  readonly onFailed: (failed: FailedMail) => void
  /** How many rows are handled and not settled in the table yet: they take room, or a fast actor would outrun the store. */
  readonly unsettled: () => number
}

/** The mailbox of an actor with `durability: async`: bursts go to the thread in flat batches and are acknowledged as a whole. */
export type AsyncMail = {
  readonly mode: MailboxMode
  /** What waits here or is with the thread. */
  readonly size: number
  /** Mail whose rows are records only. Says whether it fits; what does not goes through the table. */
  take(type: string, body: string, from: string): boolean
  /** As take, for mail of a commit that relied on there being room. */
  land(type: string, body: string, from: string): void
  /** Mail that waited in the table. */
  put(messages: readonly Message[]): void
  room(): number
  refilled(more: boolean): void
  spill(): void
  acked(frame: Extract<ThreadFrame, { kind: 'acks' }>): void
  /** The thread is ready for mail. */
  open(): void
  /** Resolves when all that came is acknowledged. */
  emptied(): Promise<void>
  /** The thread is gone: gives the rows that it had, the first of which is suspect. */
  close(): readonly Message[]
}

/** So much may be with the thread unacknowledged: a port's queue is memory without a limit. */
const credit = 1_024
const largestBatch = 256
const fields = 3

export function createAsyncMail({ agent, capacity, post, onHandled, onFailed, unsettled }: AsyncMailOptions): AsyncMail {
  /** Flat: type, body, from. The first `sent` have gone to the thread. */
  let items: string[] = []
  let start = 0
  /** By number: mail that has a row to settle. */
  const rows = new Map<number, Message>()
  /** Number of the first that is not acknowledged, and of the first that is not sent. */
  let acknowledged = 1
  let next = 1
  let mode: MailboxMode = 'spilled'
  let phase: 'waiting' | 'open' | 'closed' = 'waiting'
  let isScheduled = false
  let emptied: (() => void)[] = []

  const queued = () => (items.length - start) / fields
  const size = () => queued()
  const lastNumber = () => acknowledged + queued() - 1

  function push(type: string, body: string, from: string): void {
    items.push(type, body, from)
    if (isScheduled || phase !== 'open') return
    isScheduled = true
    // What the same stretch of code brings goes in as few batches as the credit allows.
    queueMicrotask(flush)
  }

  function flush(): void {
    isScheduled = false
    while (phase === 'open') {
      const count = togetherFrom(next, Math.min(largestBatch, acknowledged + credit - next, lastNumber() - next + 1))
      if (count <= 0) return
      const from = start + (next - acknowledged) * fields
      post({ kind: 'mail', actor: agent, first: next, items: condensed(items.slice(from, from + count * fields)) })
      next += count
    }
  }

  /** How many of so many go in one batch. A suspect goes alone: when the thread dies, it is known whether that was before its end. */
  function togetherFrom(first: number, count: number): number {
    if (rows.size === 0) return count
    for (let number = first; number < first + count; number++) {
      if ((rows.get(number)?.interruptions ?? 0) >= suspectFrom) return Math.max(1, number - first)
    }
    return count
  }

  function settle(upTo: number, failed: Extract<ThreadFrame, { kind: 'acks' }>['failed']): void {
    for (const { number, error } of failed) {
      const type = items[start + (number - acknowledged) * fields] ?? ''
      onFailed({ type, row: rows.get(number), error })
      rows.delete(number)
    }
    const handled: Message[] = []
    for (const [number, row] of rows) {
      if (number > upTo) break
      handled.push(row)
      rows.delete(number)
    }
    if (handled.length > 0) onHandled(handled)
  }

  function drop(upTo: number): void {
    start += (upTo - acknowledged + 1) * fields
    acknowledged = upTo + 1
    // Giving memory back each time would cost more than the mail itself.
    if (start > largestBatch * fields && start * 2 > items.length) {
      items = items.slice(start)
      start = 0
    }
    if (queued() > 0) return
    for (const resolve of emptied) resolve()
    emptied = []
  }

  return {
    get mode() {
      return mode
    },
    get size() {
      return size()
    },
    take(type, body, from) {
      if (mode === 'spilled' || size() >= capacity) {
        mode = 'spilled'
        return false
      }
      push(type, body, from)
      return true
    },
    land(type, body, from) {
      push(type, body, from)
      if (size() >= capacity) mode = 'spilled'
    },
    put(messages) {
      for (const message of messages) {
        rows.set(lastNumber() + 1, message)
        push(message.type, message.body, message.from)
      }
    },
    room() {
      if (phase === 'closed') return 0
      const free = Math.max(0, capacity - size() - unsettled())
      return mode === 'memory' || free >= capacity / 2 ? free : 0
    },
    refilled(more) {
      mode = more || phase === 'closed' || size() >= capacity ? 'spilled' : 'memory'
    },
    spill() {
      mode = 'spilled'
    },
    acked({ upTo, failed }) {
      if (upTo < acknowledged || upTo >= next) return
      settle(upTo, failed)
      drop(upTo)
      flush()
    },
    open() {
      phase = 'open'
      flush()
    },
    emptied() {
      if (queued() === 0 || phase === 'closed') return Promise.resolve()
      const { promise, resolve } = Promise.withResolvers<void>()
      emptied.push(resolve)
      return promise
    },
    close() {
      phase = 'closed'
      mode = 'spilled' // what comes before the next thread has a mailbox waits for it in the table
      const left = [...rows].filter(([number]) => number < next).map(([, row]) => row)
      items = []
      start = 0
      rows.clear()
      for (const resolve of emptied) resolve()
      emptied = []
      return left
    },
  }
}

/** Leaves out types and senders that are those of the mail before: each text that crosses to a thread costs more than the comparison. */
function condensed(items: (string | null)[]): (string | null)[] {
  for (let at = items.length - fields; at >= fields; at -= fields) {
    if (items[at] === items[at - fields]) items[at] = null
    if (items[at + 2] === items[at + 2 - fields]) items[at + 2] = null
  }
  return items
}
