import type { JsonText, Outgoing, Priority } from './message.ts'
import type { TurnLimits } from './turn-limit.ts'

/**
 * What crosses the port between the host and a thread. A thread hosts a list of actors, so every frame about an actor names
 * it. One postMessage carries an array of frames, flushed in a microtask: batches cost a fraction of single posts.
 */

/** An error as data: postMessage drops an error's name, code and fields. */
export type ErrorData = {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: ErrorData
}

/** What a turn collected; it takes effect with the turn's commit. */
export type Effects = {
  readonly messages: readonly Outgoing[]
  readonly jobs: readonly NewJob[]
  readonly writes: readonly { readonly fn: string; readonly args: JsonText }[]
  readonly timers: readonly TimerChange[]
  /** Present only when the actor persists and replaced its state. */
  readonly state?: JsonText
  /** It saved steps, which the commit may forget. */
  readonly steps: boolean
}

export type NewJob = {
  readonly id: string
  readonly type: string
  readonly payload: JsonText
  /** 1 is first, 10 last. */
  readonly priority?: number
  readonly dedupeKey?: string
  readonly delay?: number
  readonly maxAttempts?: number
  /** The only agent that may take it. */
  readonly target?: string
}

export type TimerChange =
  | { readonly name: string; readonly cancel: true }
  | { readonly name: string; readonly type: string; readonly body: JsonText; readonly every?: number; readonly dueIn: number }

/** What a handler asks for that leaves at once. Keys make a repeated turn's request the same request. */
export type Request =
  | { readonly kind: 'send'; readonly key: string; readonly message: Outgoing }
  | { readonly kind: 'ask'; readonly key: string; readonly message: Outgoing; readonly timeout: number }
  | { readonly kind: 'stepStart'; readonly key: string }
  | { readonly kind: 'stepFinish'; readonly key: string; readonly result: JsonText }
  | { readonly kind: 'function'; readonly key: string; readonly fn: string; readonly args: JsonText }
  | { readonly kind: 'read'; readonly relation: string; readonly filter: JsonText; readonly options: JsonText }

/** What a request gets: a value as JSON text (null for none), for a step also whether and how it was there before. */
export type Answer =
  | { readonly ok: true; readonly value: JsonText | null; readonly known?: 'started' | 'finished' }
  | { readonly ok: false; readonly error: ErrorData }

/** What of the host's an actor may use in its turn. */
export type ServiceName = 'llm' | 'compute'

/** What using a service gave. */
export type UseOutcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: ErrorData }

/** From the host to a thread. `turn` numbers an incarnation's turns from 1; 0 is init. */
export type HostFrame =
  | {
      readonly kind: 'load'
      readonly actor: string
      readonly incarnation: number
      readonly file: string
      readonly args: JsonText
      readonly state: JsonText | null
      readonly sql: readonly string[]
      /** For its mail; the host sees to its turns. */
      readonly limits: TurnLimits
      /** To the host's HTTP pool; it is moved. */
      readonly http?: InstanceType<typeof MessagePort>
    }
  | {
      readonly kind: 'turn'
      readonly actor: string
      readonly turn: number
      readonly source: 'message' | 'job'
      /** Of the message or job. */
      readonly id: string
      readonly type: string
      readonly body: JsonText
      readonly from: string | null
      readonly attempt: number
      readonly priority: Priority
      readonly isBroadcast?: true
      /** To be run only if this turn is done; else it is let go of. */
      readonly after?: number
    }
  | { readonly kind: 'answer'; readonly actor: string; readonly call: number; readonly answer: Answer }
  | { readonly kind: 'used'; readonly actor: string; readonly call: number; readonly outcome: UseOutcome }
  /** Aborts ctx.signal of a turn, if it runs still; without a number of whatever runs, and lets go of the turns that wait. */
  | { readonly kind: 'abort'; readonly actor: string; readonly code: string; readonly reason: string; readonly turn?: number }
  /** Finish what runs, call stop, answer `stopped`. */
  | { readonly kind: 'stop'; readonly actor: string }
  | { readonly kind: 'ping'; readonly at: number }
  /** For mailboxes with `durability: async`: flat [type, body, from, ...] in order, numbered consecutively from `first`; a type or a sender that is as before is null. */
  | { readonly kind: 'mail'; readonly actor: string; readonly first: number; readonly items: readonly (string | null)[] }

/** From a thread to the host. */
export type ThreadFrame =
  | { readonly kind: 'up' } // the shell runs; it can take a `load`
  | { readonly kind: 'loaded'; readonly actor: string; readonly incarnation: number; readonly effects: Effects }
  | { readonly kind: 'refused'; readonly actor: string; readonly incarnation: number; readonly error: ErrorData }
  | {
      readonly kind: 'ended'
      readonly actor: string
      readonly turn: number
      /** It took so little that waking the thread for it was the greater part. */
      readonly isQuick?: boolean
      readonly outcome:
        | { readonly kind: 'done'; readonly reply: JsonText; readonly effects: Effects }
        | { readonly kind: 'threw'; readonly error: ErrorData; readonly isFinal: boolean; readonly retryIn?: number }
    }
  | { readonly kind: 'call'; readonly actor: string; readonly turn: number; readonly call: number; readonly request: Request }
  /** Asks a service of the host; what it needs and what it gives are no JSON, as they may be moved. */
  | {
      readonly kind: 'use'
      readonly actor: string
      readonly turn: number
      readonly call: number
      readonly service: ServiceName
      readonly input: unknown
    }
  /** Nobody waits for its answer any more. */
  | { readonly kind: 'unuse'; readonly actor: string; readonly call: number }
  /** ctx.post: outside of any turn. */
  | { readonly kind: 'post'; readonly actor: string; readonly call: number; readonly message: Outgoing }
  | { readonly kind: 'status'; readonly actor: string; readonly status: 'idle' | 'working' | 'blocked'; readonly reason?: string }
  | { readonly kind: 'stopped'; readonly actor: string; readonly error?: ErrorData }
  /** NDJSON lines in pino's format. */
  | { readonly kind: 'log'; readonly lines: string }
  | { readonly kind: 'pong'; readonly at: number }
  /** Everything up to this number of `mail` was handled; `failed` are those that threw. */
  | {
      readonly kind: 'acks'
      readonly actor: string
      readonly upTo: number
      readonly failed: readonly { readonly number: number; readonly error: ErrorData }[]
      /** The last of them did not heed that its time was over: nothing more is handled, the thread has to be ended. */
      readonly isHung?: true
    }
