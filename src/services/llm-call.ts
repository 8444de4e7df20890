import { ActorError } from '../core/errors.ts'
import type { LlmRequest, LlmUsage } from '../core/llm.ts'
import { RequestFailed } from './llm-failure.ts'
import type { Settle } from './llm-ledger.ts'
import { amountOf, costOf, type Price } from './llm-prices.ts'
import { estimateTokens, type Prompt } from './llm-prompt.ts'

/** One call to a model, ready to be sent. */
export type Call = {
  readonly model: string
  readonly price: Price | undefined
  readonly prompt: Prompt
  /** What the prompt has, more or less. */
  readonly promptTokens: number
  readonly maxTokens: number
  readonly temperature: number | undefined
  readonly jsonSchema: LlmRequest['jsonSchema']
}

/** How an endpoint is told that it has to answer in JSON: by the schema itself, or only that it has to. */
export type Format = 'text' | 'json_schema' | 'json_object'

/** What a model answered; tokens as the endpoint counts them, where it does. */
export type Answer = {
  readonly text: string
  readonly isCut: boolean
  readonly inputTokens: number | undefined
  readonly outputTokens: number | undefined
}

/** What a call has used so far. */
export type Bill = { requests: number; inputTokens: number; outputTokens: number; isEstimated: boolean }

export type SendOptions = {
  readonly call: Call
  readonly bill: Bill
  /** Endpoints and models that do not take a schema. */
  readonly withoutSchema: Set<string>
  /** Waits for room in the budgets. */
  readonly reserve: (most: { readonly tokens: number; readonly usd: number }) => Promise<Settle>
  readonly ask: (call: Call, format: Format) => Promise<Answer>
}

/** Sends one call, by schema where the model takes one. */
export async function send(options: SendOptions): Promise<Answer> {
  const { call, withoutSchema } = options
  if (!call.jsonSchema) return request(options, 'text')
  if (withoutSchema.has(call.model)) return request(options, 'json_object')
  try {
    return await request(options, 'json_schema')
  } catch (error) {
    if (!mayMeanFormat(error)) throw error
    const answer = await request(options, 'json_object')
    // Only now is it sure that the schema was the fault, not a prompt that is too long or a model that is unknown.
    withoutSchema.add(call.model)
    return answer
  }
}

/** What a bill comes to. */
export function usageOf({ inputTokens, outputTokens }: Bill, price: Price | undefined): LlmUsage {
  return { inputTokens, outputTokens, usd: costOf(price, inputTokens, outputTokens).usd }
}

/** Refuses a prompt that nobody meant to pay for. */
export function checkSize({ promptTokens }: Call, limit: number): void {
  if (promptTokens <= limit) return
  throw new ActorError('MODEL_FAILED', `The prompt has about ${promptTokens} tokens, more than llm.maxPromptTokens allows (${limit})`, {
    details: { reason: 'prompt_too_long', tokens: promptTokens, limit },
  })
}

async function request({ call, bill, reserve, ask }: SendOptions, format: Format): Promise<Answer> {
  const { price, promptTokens, maxTokens } = call
  const cost = (input: number, output: number) => amountOf(costOf(price, input, output))
  const settle = await reserve(cost(promptTokens, maxTokens))
  const enter = (input: number, output: number, isEstimated: boolean) => {
    settle(cost(input, output))
    bill.inputTokens += input
    bill.outputTokens += output
    bill.isEstimated ||= isEstimated
  }
  bill.requests += 1
  try {
    const answer = await ask(call, format)
    const { inputTokens = promptTokens, outputTokens = estimateTokens(answer.text) } = answer
    enter(inputTokens, outputTokens, answer.inputTokens === undefined || answer.outputTokens === undefined)
    return answer
  } catch (error) {
    // An answer that was lost may have cost all that was asked for; a hard stop has to reckon with it.
    if (error instanceof RequestFailed && error.failure.isPaid) enter(promptTokens, maxTokens, true)
    else settle({ tokens: 0, usd: 0 })
    throw error
  }
}

function mayMeanFormat(error: unknown): boolean {
  return error instanceof RequestFailed && (error.failure.status === 400 || error.failure.status === 422)
}
