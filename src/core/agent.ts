import type { JsonText } from './message.ts'
import type { ChildSpec } from './spec.ts'

/** Bytes of heap and external memory: above `soft` the thread is ended by the guard, `hard` is V8's own limit. */
export type MemoryLimits = { readonly soft: number; readonly hard: number; readonly poll: number }

/**
 * Everything there is to know to run one agent: the supervisor's policy for it, and what the host adds. Durations in ms.
 * Its version is the hash of all of this and of the actor file with what it imports relatively.
 */
export type AgentSpec = ChildSpec & {
  readonly team: string
  /** The actor file's name without its ending: scanner for actors/scanner.ts. */
  readonly type: string
  /** The copy of the actor file that this version runs. */
  readonly file: string
  /** From the spec, parsed by the actor's own schema in its thread. */
  readonly args: JsonText
  /** `async`: a mailbox in memory whose rows are written behind, as a log, and never read again. */
  readonly durability: 'transaction' | 'async'
  /** Messages held in memory; the rest waits in the table. */
  readonly mailbox: number
  /** Messages that may wait in all, in the table too; who sends more is told MAILBOX_FULL. No limit when absent. */
  readonly mailboxLimit?: number | undefined
  readonly maxAttempts: number
  readonly turnTimeout: number
  /** By the type of the message or job; the rest has `turnTimeout`. */
  readonly turnTimeouts: Readonly<Record<string, number>>
  readonly hangAfter: number
  readonly memory: MemoryLimits
  /** Jobs it may hold at a time. */
  readonly maxLoad: number
  /** Where it may connect beside what its actor file says. */
  readonly origins: readonly string[]
  /** Its requests in a second, without a limit when absent, and at a time. */
  readonly http: { readonly rate?: number | undefined; readonly concurrency: number }
}

/** What an actor file says of itself, found by loading it once per version in a probe thread. */
export type Manifest = {
  readonly messages: Readonly<Record<string, unknown>>
  readonly jobs: Readonly<Record<string, unknown>>
  readonly sql: readonly string[]
  readonly origins: readonly string[]
  readonly persist: boolean
}

/** Ms for which an agent, or a job, is held by its process without being renewed. */
export type LeaseTimes = { readonly agents: number; readonly jobs: number }

export const leaseDefaults: LeaseTimes = { agents: 15_000, jobs: 60_000 }

/** What a spec that says nothing gets, beyond the supervisor's own defaults. */
export const agentDefaults = {
  durability: 'transaction',
  mailbox: 1_000,
  maxAttempts: 3,
  turnTimeout: 5 * 60_000,
  turnTimeouts: {},
  hangAfter: 10_000,
  memory: { soft: 256 * 2 ** 20, hard: 2 ** 30, poll: 250 },
  maxLoad: 5,
  origins: [],
  http: { concurrency: 64 },
} as const satisfies Partial<AgentSpec>
