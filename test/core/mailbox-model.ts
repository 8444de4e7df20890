import type { MailboxMode } from '../../src/core/mailbox.ts'
import type { Priority } from '../../src/core/message.ts'

/** What the model knows of a delivery; a job has no sender. */
export type Entry = {
  readonly id: string
  readonly seq: number
  readonly from: string | undefined
  readonly priority: Priority
  readonly expiresAt: number
  retryAt: number
}

const kinds = ['express', 'job', 'ordinary'] as const

/** A mailbox told as two lists, memory and table, that are searched from the front. */
export class MailboxModel {
  readonly capacity: number
  memory: Entry[] = []
  table: Entry[] = []
  mode: MailboxMode = 'memory'
  /** The kinds of what was taken, the latest first. */
  #past: string[] = []

  constructor(capacity: number) {
    this.capacity = capacity
  }

  add(entries: readonly Entry[]): void {
    this.memory.push(...entries)
    if (entries.some(({ from }) => from !== undefined) && this.memory.length >= this.capacity) this.mode = 'spilled'
  }

  room(): number {
    const free = Math.max(0, this.capacity - this.memory.length)
    return this.mode === 'spilled' && free < this.capacity / 2 ? 0 : free
  }

  next(now: number): Entry | undefined {
    const waits = this.memory.filter(({ retryAt }) => retryAt > now)
    const free = this.memory.filter((one) => !waits.some(({ from, seq }) => from !== undefined && from === one.from && seq <= one.seq))
    const possible = kinds.filter((kind) => free.some((one) => kindOf(one) === kind))
    const kind = this.#isTired(possible) ? this.#longestWaiting(possible.filter((one) => one !== this.#past[0])) : possible[0]
    const [chosen] = free.filter((one) => kindOf(one) === kind).sort((one, other) => one.seq - other.seq)
    if (chosen === undefined || kind === undefined) return undefined
    this.#past.unshift(kind)
    this.memory = this.memory.filter((one) => one !== chosen)
    return chosen
  }

  expire(now: number): Entry[] {
    const dead = this.memory.filter(({ expiresAt }) => expiresAt <= now)
    this.memory = this.memory.filter((one) => !dead.includes(one))
    return dead
  }

  /** How many of a kind were taken in a row, up to now. */
  get longestRun(): number {
    const end = this.#past.findIndex((kind) => kind !== this.#past[0])
    return end === -1 ? this.#past.length : end
  }

  #isTired(possible: readonly string[]): boolean {
    const run = this.#past.slice(0, 16)
    return run.length === 16 && run.every((kind) => kind === run[0]) && possible.some((kind) => kind !== run[0])
  }

  #longestWaiting(possible: readonly string[]): string | undefined {
    const since = (kind: string) => (this.#past.includes(kind) ? this.#past.indexOf(kind) : Number.POSITIVE_INFINITY)
    return possible.reduce<string | undefined>((one, other) => (one === undefined || since(other) > since(one) ? other : one), undefined)
  }
}

function kindOf({ from, priority }: Entry): (typeof kinds)[number] {
  if (from === undefined) return 'job'
  return priority === 'urgent' || priority === 'high' ? 'express' : 'ordinary'
}
