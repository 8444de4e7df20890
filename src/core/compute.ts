/** What threads can give away instead of copying it: an ArrayBuffer, a MessagePort. */
export type Movable = NonNullable<NonNullable<Parameters<typeof structuredClone>[1]>['transfer']>[number]

/** How one task is run. */
export interface ComputeOptions {
  /** Ms that it may run; what the config's `compute.timeout` says, unless given. Waiting for a thread does not count. */
  readonly timeout?: number | undefined
  /** Ends it. The end of the turn does so in any case. */
  readonly signal?: AbortSignal | undefined
  /** What of the input is moved to the task instead of copied; the actor has it no longer. */
  readonly transfer?: readonly Movable[] | undefined
}

/**
 * Runs a pure function of a file on one of the threads that all agents share. The URL's hash is the name of its export:
 * `new URL('./lib/detect.ts#score', import.meta.url)`, written like this, so that the file becomes part of the actor's version.
 */
export type Compute = <Output = unknown>(task: URL, input?: unknown, options?: ComputeOptions) => Promise<Output>

/** What a task gets beside its input. */
export interface TaskTools {
  /** Moves parts of the result instead of copying them: `return transfer(scores, [scores.buffer])`. */
  transfer<Value>(value: Value, moved: readonly Movable[]): Value
}

/** What a task is: an exported function of this type. Its thread serves everybody, so it keeps nothing and leaves nothing running. */
export type Task<Input = unknown, Output = unknown> = (input: Input, tools: TaskTools) => Output | Promise<Output>
