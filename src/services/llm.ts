import { randomBytes } from 'node:crypto'
import { ActorError } from '../core/errors.ts'
import type { Event } from '../core/events.ts'
import type { LlmRequest, LlmText } from '../core/llm.ts'
import { type Clock, systemClock } from '../host/clock.ts'
import type { LlmEndpoint } from '../sources/llm-environment.ts'
import type { LlmSettings } from '../sources/llm-settings.ts'
import { errorOf, withRepeats } from './llm-attempts.ts'
import { type Answer, type Bill, type Call, checkSize, type Format, send, usageOf } from './llm-call.ts'
import { failureOfAnswer, RequestFailed } from './llm-failure.ts'
import { createGate } from './llm-gate.ts'
import { parseLlmRequest } from './llm-input.ts'
import { createLedger } from './llm-ledger.ts'
import { limitedBy } from './llm-limit.ts'
import type { RecordUsage } from './llm-pages.ts'
import { defaultModel, pricesOf } from './llm-prices.ts'
import { promptOf, promptTokens } from './llm-prompt.ts'
import { createTransport } from './llm-transport.ts'
import { type AgentUsage, createUsage } from './llm-usage.ts'
import type { Caller, Service } from './service.ts'

export type LlmServiceOptions = {
  readonly endpoint: LlmEndpoint
  readonly settings: LlmSettings
  /** Through which every request goes. */
  readonly fetch: typeof globalThis.fetch
  /** Keeps in the store what budgets were used; without it they are of this process, and start anew with it. */
  readonly record?: RecordUsage
  readonly emit: (event: Event) => void
  readonly clock?: Clock
  /** Ms since 1970. */
  readonly now?: () => number
  /** The pauses before repeats, where the endpoint asks for none. */
  readonly backoff?: { readonly base: number; readonly max: number }
}

/** Models for actors. Nothing is loaded and nobody is asked before the first call. */
export type LlmService = Service & {
  /** What each agent has used in all, since the process began. */
  usage(): readonly AgentUsage[]
  /** Resolves when the store has what was used, or is away, or nothing is left of the grace in ms but a last moment. */
  close(options?: { readonly grace?: number }): Promise<void>
}

/** Ms for what was used last, also when nothing is left of the grace. */
const lastWords = 1_000

/**
 * Makes the service. CONFIG_INVALID when a budget in USD meets a model without a price. Its calls throw what `Llm` in core/llm.ts names.
 * Budgets hold across processes and restarts when there is a `record`.
 */
export function createLlm(options: LlmServiceOptions): LlmService {
  const { endpoint, settings, emit, clock = systemClock, now = Date.now, backoff = { base: 500, max: 8_000 } } = options
  const model = endpoint.model ?? settings.model ?? defaultModel
  const prices = pricesOf(settings, model)
  const ledger = createLedger(settings.budget, now, options.record)
  const gate = createGate(settings)
  const usage = createUsage()
  const withoutSchema = new Set<string>()
  const ask = createAsk(endpoint, createTransport(options.fetch, endpoint, now))

  function callOf(request: LlmRequest): Call {
    const prompt = promptOf(request, () => randomBytes(8).toString('hex'))
    const { model: chosen = model, maxTokens = settings.maxTokens, temperature, jsonSchema } = request
    const price = Object.hasOwn(prices, chosen) ? prices[chosen] : undefined
    return { model: chosen, price, prompt, promptTokens: promptTokens(prompt), maxTokens, temperature, jsonSchema }
  }

  async function run(caller: Caller, call: Call, bill: Bill, limit: { signal: AbortSignal; deadline: number }): Promise<Answer> {
    const { signal } = limit
    const leave = await gate.enter(signal)
    try {
      const reserve = (most: Parameters<typeof ledger.reserve>[1]) => ledger.reserve(caller, most, signal)
      const work = () => send({ call, bill, withoutSchema, reserve, ask: (one, format) => ask(one, format, signal) })
      return await withRepeats(work, { clock, backoff, random: Math.random, ...limit })
    } finally {
      leave()
    }
  }

  async function answer(caller: Caller, call: Call, timeout: number, signal: AbortSignal): Promise<LlmText> {
    const began = clock.now()
    const bill: Bill = { requests: 0, inputTokens: 0, outputTokens: 0, isEstimated: false }
    using limit = limitedBy(timeout, signal, clock, () => timeoutError(timeout, bill.requests))
    try {
      const { text, isCut } = await run(caller, call, bill, limit)
      return { text, isCut, model: call.model, usage: usageOf(bill, call.price) }
    } catch (error) {
      if (limit.signal.aborted) throw limit.signal.reason
      if (!(error instanceof RequestFailed)) throw error
      throw errorOf(error.failure, { at: new URL(endpoint.baseUrl).host, keyName: endpoint.keyName, requests: bill.requests })
    } finally {
      record(caller, call, bill, clock.now() - began)
    }
  }

  /** Says what a call used, also one that failed. */
  function record({ team, agent, source, id, name }: Caller, { model, price }: Call, bill: Bill, ms: number): void {
    const { requests, isEstimated } = bill
    if (bill.inputTokens + bill.outputTokens === 0) return
    const used = usageOf(bill, price)
    usage.add({ team, agent }, used)
    const handled = { source, handled: id, type: name }
    emit({ name: 'llm:used', team, id: agent, ...handled, model, ...used, requests, isEstimated, ms: Math.round(ms) })
  }

  return {
    usage: usage.all,
    async close({ grace = 0 } = {}) {
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const cancel = clock.after(Math.max(lastWords, grace), resolve)
      await Promise.race([ledger.close(), late])
      cancel()
    },
    async use(caller, input, signal) {
      const request = parseLlmRequest(input)
      if (endpoint.blocked !== undefined) throw blocked(endpoint.blocked)
      const call = callOf(request)
      if (call.price === undefined && ledger.countsUsd(caller)) throw blocked(unpriced(call))
      checkSize(call, settings.maxPromptTokens)
      return { value: await answer(caller, call, request.timeout ?? settings.timeout, signal) }
    },
  }
}

/** Asks through the AI SDK, loaded for the first question. What it would do by itself it does not: no repeats, no telemetry, no gateway. */
function createAsk(endpoint: LlmEndpoint, fetch: typeof globalThis.fetch) {
  let loading: ReturnType<typeof load> | undefined
  const load = async () => {
    const [{ generateText, Output }, { createFireworks }] = await Promise.all([import('ai'), import('@ai-sdk/fireworks')])
    // Without a key of ours it would look for one of its own; the transport takes this word out again.
    const provider = createFireworks({ baseURL: endpoint.baseUrl, apiKey: endpoint.key ?? 'none', fetch })
    return { generateText, text: Output.text, provider }
  }

  return async ({ model, prompt, maxTokens, temperature, jsonSchema }: Call, format: Format, signal: AbortSignal): Promise<Answer> => {
    loading ??= load()
    const { generateText, text, provider } = await loading
    signal.throwIfAborted()
    const schema = format === 'json_schema' && jsonSchema ? { schema: jsonSchema as object } : {}
    const result = await generateText({
      model: provider(model),
      ...(prompt.system !== undefined && { instructions: prompt.system }),
      messages: [...prompt.messages],
      maxOutputTokens: maxTokens,
      ...(temperature !== undefined && { temperature }),
      // Parsing is the worker's: it alone has the author's schema.
      output: {
        ...text(),
        responseFormat: Promise.resolve(format === 'text' ? { type: 'text' as const } : { type: 'json' as const, ...schema }),
      },
      // Strict schemas have rules of their own, such as that every field is required.
      providerOptions: { fireworks: { strictJsonSchema: false } },
      maxRetries: 0,
      telemetry: { isEnabled: false },
      abortSignal: signal,
    }).catch((error) => refuse(error, signal))
    const { inputTokens, outputTokens } = result.usage
    return {
      text: result.text,
      isCut: result.finishReason === 'length',
      inputTokens: counted(inputTokens),
      outputTokens: counted(outputTokens),
    }
  }
}

/** Says of the SDK's own errors what they mean for the call. */
function refuse(error: unknown, signal: AbortSignal): never {
  // It gives up before the transport does; the request is under way.
  if (signal.aborted) throw new RequestFailed(failureOfAnswer('given up', 'refused'))
  if (error instanceof RequestFailed || error instanceof ActorError) throw error
  const words = error instanceof Error ? error.message : String(error)
  throw new RequestFailed(failureOfAnswer(`its answer is not of the chat completions protocol (${words})`, 'refused'))
}

/** Some endpoints count nothing, and say 0. */
function counted(tokens: number | undefined): number | undefined {
  return tokens !== undefined && Number.isSafeInteger(tokens) && tokens > 0 ? tokens : undefined
}

function unpriced({ model }: Call): string {
  return `no price of the model ${model}: a budget in USD needs llm.prices to have one`
}

function blocked(reason: string): ActorError {
  return new ActorError('BLOCKED', reason, { details: { reason } })
}

function timeoutError(timeout: number, requests: number): ActorError {
  const message = `The model did not answer within ${timeout} ms${requests === 0 ? ': other calls were before this one' : ''}`
  return new ActorError('MODEL_FAILED', message, { details: { reason: 'timeout', timeout, requests } })
}
