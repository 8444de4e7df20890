import type { Compute } from './core/compute.ts'
import type { Http } from './core/http.ts'
import type { Llm } from './core/llm.ts'
import type { Priority } from './core/message.ts'
import type { OutputOf, Schema } from './core/schema.ts'

export type { Compute, ComputeOptions, Movable, Task, TaskTools } from './core/compute.ts'
export { ActorError, type Code } from './core/errors.ts'
export type { Http, HttpOptions, HttpResponse } from './core/http.ts'
export type { Llm, LlmObject, LlmObjectOptions, LlmOptions, LlmText, LlmUsage } from './core/llm.ts'
export type { Priority } from './core/message.ts'
export type { OutputOf, Schema, SchemaIssue, SchemaResult } from './core/schema.ts'

/** Schemas by message or job type; `true` lists a type whose bodies are handed over as they are. */
export type Schemas = Readonly<Record<string, Schema | true>>

/** What JSON makes of a value: a date becomes a string, nothing becomes null. */
export type Saved<Value> = Value extends void
  ? null
  : Value extends { toJSON(): infer Json }
    ? Json
    : Value extends object
      ? { [Key in keyof Value]: Saved<Exclude<Value[Key], undefined>> | Extract<Value[Key], undefined> }
      : Value

type Awaitable<Value> = Value | Promise<Value>
type Handler<Body, Ctx> = (body: Body, ctx: Ctx) => unknown
type BodyOf<Given extends Schemas, Type> = Type extends keyof Given ? OutputOf<Given[Type]> : unknown

/** What an actor file says: its default export is `defineActor` of this. Write `init` before the handlers: they take the state's type from it. */
export interface Definition<
  Args extends Schema = Schema,
  Messages extends Schemas = Schemas,
  Jobs extends Schemas = Schemas,
  Sql extends string = string,
  State = unknown,
  Received extends string = string,
  Run extends string = string,
> {
  /** Parses the spec's args before init. */
  readonly args?: Args
  /** The message types it takes; each needs a handler in `receive`. */
  readonly messages?: Messages
  /** The job types it takes; each needs a handler in `run`. */
  readonly jobs?: Jobs
  /** The functions and views it may use in `ctx.db`. */
  readonly sql?: readonly Sql[]
  /** Where it may connect: origins such as https://api.example.com, https://*.example.com, or * for everywhere. The config may add more. */
  readonly origins?: readonly string[]
  /** Saves the state with each turn's commit. */
  readonly persist?: boolean
  /**
   * Runs at every start; throwing refuses the start. What it returns is the first state. A state that was saved before is in
   * `ctx.state` and stays, unless init assigns `ctx.state`.
   */
  init?(ctx: InitContext<OutputOf<Args>>): Awaitable<State>
  /** One handler per message type; what it returns is the reply. */
  readonly receive?: { readonly [Type in Received]: Handler<BodyOf<Messages, Type>, Context<OutputOf<Args>, State, Sql>> } & {
    readonly [Type in keyof Messages]: unknown
  }
  /** One handler per job type; what it returns is the job's result. */
  readonly run?: { readonly [Type in Run]: Handler<BodyOf<Jobs, Type>, Context<OutputOf<Args>, State, Sql>> } & {
    readonly [Type in keyof Jobs]: unknown
  }
  /** Runs at a requested stop, within the spec's `shutdown`. */
  stop?(ctx: StopContext<OutputOf<Args>, State>): unknown
}

type None = Readonly<Record<never, never>>

/** Types an actor's definition; it runs nothing. */
export function defineActor<
  Args extends Schema = Schema,
  Messages extends Schemas = None,
  Jobs extends Schemas = None,
  const Sql extends string = never,
  State = undefined,
  Received extends string = never,
  Run extends string = never,
>(definition: Definition<Args, Messages, Jobs, Sql, State, Received, Run>): Definition<Args, Messages, Jobs, Sql, State, Received, Run> {
  return definition
}

interface Always<Args> {
  /** The agent's id. */
  readonly self: string
  readonly args: Args
  /** Aborts with an ActorError at a stop, the deadline, or a lost lease. */
  readonly signal: AbortSignal
  /** Ms since 1970. */
  now(): number
  readonly log: Log
  /** Says what people see of this agent. */
  status(status: 'idle' | 'working' | 'blocked', reason?: string): void
  /**
   * Sends a request through the host's pool, as fetch does, for less memory and time. It ends with the turn, its body too; what
   * is to go on, such as a stream of events, is for fetch.
   */
  readonly http: Http
  /** The only thing that works outside a turn, such as in a socket's callback: a message that is durable once this resolves. Repeated with the same id it is the same message. */
  post(message: Posted, options?: { readonly id?: string | undefined }): Promise<void>
}

interface Timed {
  /** Sends this actor a message of `type` each `interval` ms; missed ticks are one. The same name again replaces the timer. */
  every(interval: number, type: string, options?: { readonly name?: string | undefined; readonly body?: unknown }): void
  /** Sends this actor one message after `delay` ms. */
  after(delay: number, type: string, body?: unknown, options?: { readonly name?: string | undefined }): void
  /** Ends the timer of that name; a timer's name is its type unless it was given one. */
  cancel(name: string): void
}

/** What init gets: it may set the state and timers, not send. */
export interface InitContext<Args = unknown> extends Always<Args>, Timed {
  /** What was saved, undefined the first time; perhaps by another version of this file. */
  state: unknown
}

/** What stop gets. */
export interface StopContext<Args = unknown, State = unknown> extends Omit<Always<Args>, 'post'> {
  readonly state: Readonly<State>
}

/** What a handler gets. What it collects takes effect with the turn's commit, or not at all. */
export interface Context<Args = unknown, State = unknown, Sql extends string = string> extends Always<Args>, Timed {
  /** Replaced, never mutated. */
  get state(): Readonly<State>
  set state(next: State)
  /** Who sent the message; null for a job. */
  readonly from: string | null
  /** Which attempt at this message or job it is; the first is 1. */
  readonly attempt: number
  /** Collected, or with `now` sent at once: then it resolves when the message is durable. */
  tell(to: string, type: string, body: unknown, options: SendOptions & { readonly now: true }): Promise<void>
  tell(to: string, type: string, body?: unknown, options?: SendOptions & { readonly now?: false | undefined }): void
  /** Tells every registered agent. */
  broadcast(subject: string, body?: unknown, options?: SendOptions): void
  /** Sends at once and waits for the reply, 30 s unless told. A repeated turn gets the same reply. */
  ask(to: string, type: string, body?: unknown, options?: { readonly timeout?: number | undefined }): Promise<unknown>
  readonly jobs: {
    /** Returns the new job's id; with a dedupeKey a live job of that key takes its place. */
    create(type: string, payload?: unknown, options?: JobOptions): string
  }
  readonly db: {
    /** Runs a function inside the turn's commit. */
    write(fn: Sql, args?: Readonly<Record<string, unknown>>): void
    /** Runs a function at once; a repeated turn gets the same result. */
    call(fn: Sql, args?: Readonly<Record<string, unknown>>): Promise<unknown>
    read(relation: Sql, filter?: Filter, options?: ReadOptions): Promise<readonly Row[]>
  }
  /** Asks a model on the host. */
  readonly llm: Llm
  /** Runs a pure function of a file on one of the threads that all agents share. */
  readonly compute: Compute
  /**
   * Runs `fn` and keeps its result, so that a repeated turn gets it without running `fn` again. A repeat that finds only the
   * start runs `fn` again, or with `once` throws STEP_UNKNOWN. Let `fn` collect nothing: a repeat may not run it.
   */
  step<Value>(name: string, fn: () => Awaitable<Value>, options?: { readonly once?: boolean | undefined }): Promise<Saved<Value>>
  /** A uuid that is the same whenever this turn is repeated: an idempotency key for the outside world. */
  id(name: string): string
  /** To be thrown: fails the message or job without another attempt. */
  fatal(reason: string, options?: { readonly cause?: unknown }): Error
  /** To be thrown: the next attempt comes after this many ms. */
  retry(after: number, reason?: string): Error
}

export interface SendOptions {
  readonly priority?: Priority | undefined
  /** Ms until nobody needs it any more. */
  readonly expiresIn?: number | undefined
  /** Ms to wait before it is delivered. */
  readonly delay?: number | undefined
}

export interface JobOptions {
  /** 1 is first, 10 last. */
  readonly priority?: number | undefined
  /** At most one live job of a type has this key. */
  readonly dedupeKey?: string | undefined
  readonly delay?: number | undefined
  readonly maxAttempts?: number | undefined
  /** Only this agent may take it. */
  readonly target?: string | undefined
}

/** A message from outside a turn; without `to` for this actor itself. */
export interface Posted extends SendOptions {
  readonly to?: string | undefined
  readonly type: string
  readonly body?: unknown
}

/** A row of a table or view, by column. */
export type Row = Readonly<Record<string, unknown>>

type Scalar = string | number | boolean | null

/** Conditions by column; all must hold. A value alone means "equals", null "is null". */
export type Filter = Readonly<
  Record<string, Scalar | { readonly [Comparison in 'neq' | 'gt' | 'gte' | 'lt' | 'lte']?: Scalar } | { readonly in: readonly Scalar[] }>
>

export interface ReadOptions {
  readonly order?: ReadonlyArray<{ readonly by: string; readonly descending?: boolean | undefined }> | undefined
  /** 1,000 at most, which it is unless told; a hosted project may give fewer. Read on with a condition on what the rows are ordered by. */
  readonly limit?: number | undefined
}

type Write = (message: string, fields?: Readonly<Record<string, unknown>>) => void

export interface Log {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
}
