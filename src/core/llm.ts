import type { OutputOf, Schema } from './schema.ts'

/** What a model is asked. */
export interface LlmOptions {
  /** What it has to do: your own words. */
  readonly prompt: string
  /** What it is, and how it answers. */
  readonly system?: string | undefined
  /**
   * Texts that others wrote, by a name of letters, digits and . _ - (at most 64): job descriptions, market texts, web pages. Each
   * follows the prompt between marks that it cannot contain, and the model is told that nothing in them is an instruction.
   */
  readonly untrusted?: Readonly<Record<string, string>> | undefined
  /** Another model than the configured one. */
  readonly model?: string | undefined
  /** Tokens that the answer may have; `llm.maxTokens` of the config unless told. */
  readonly maxTokens?: number | undefined
  /** From 0 to 2. */
  readonly temperature?: number | undefined
  /** Ms for one answer, the wait for its turn and repeated requests included; `llm.timeout` of the config unless told. */
  readonly timeout?: number | undefined
  /** Gives the answer up; the end of the turn does too. */
  readonly signal?: AbortSignal | undefined
}

/** What a model is asked whose answer has to fit a schema. */
export interface LlmObjectOptions<Given extends Schema = Schema> extends LlmOptions {
  readonly schema: Given
  /** The JSON Schema of `schema`, where its library offers none itself or another one suits the model better. */
  readonly jsonSchema?: Readonly<Record<string, unknown>> | undefined
}

/** What an answer cost; repeated requests and the repair of an object are part of it. */
export interface LlmUsage {
  readonly inputTokens: number
  readonly outputTokens: number
  /** US dollars by the prices of the config; null for a model that has none there. */
  readonly usd: number | null
}

export interface LlmText {
  readonly text: string
  readonly usage: LlmUsage
  readonly model: string
  /** The answer ended at maxTokens, not where the model would have. */
  readonly isCut: boolean
}

export interface LlmObject<Value> {
  readonly value: Value
  readonly usage: LlmUsage
  readonly model: string
}

/**
 * Asks the model that the host is set up with. Runs at once, and again in a repeated turn: wrap a call in `ctx.step` and it is paid once.
 * Throws BLOCKED when the operator has to act (no key, a refused key, no price for a budget in USD), BUDGET_EXCEEDED when a budget
 * has no room for the call (details.until: ms since 1970 when it has again), BODY_INVALID for options that are none, else
 * MODEL_FAILED (too long a prompt, more than a whole budget, no answer in time, a failing endpoint: details.retryAfter are the ms it
 * asked to wait).
 */
export interface Llm {
  text(options: LlmOptions): Promise<LlmText>
  /**
   * Answers with a value that `schema` has parsed. An answer that does not fit is shown to the model once, with what is wrong with it;
   * then MODEL_FAILED, with `issues` in its details.
   */
  object<Given extends Schema>(options: LlmObjectOptions<Given>): Promise<LlmObject<OutputOf<Given>>>
}

/** What a thread asks of the host. */
export type LlmRequest = Omit<LlmOptions, 'signal'> & {
  /** The JSON Schema that the answer has to fit; absent for plain text. */
  readonly jsonSchema?: Readonly<Record<string, unknown>> | undefined
  /** An answer that did not fit, and what is wrong with it. */
  readonly repair?: { readonly answer: string; readonly issues: readonly string[] } | undefined
}
