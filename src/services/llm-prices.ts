import { ActorError } from '../core/errors.ts'
import type { LlmSettings } from '../sources/llm-settings.ts'
import type { Amount } from './llm-budget.ts'

/** US dollars per 1,000,000 tokens. */
export type Price = { readonly input: number; readonly output: number }
export type Prices = Readonly<Record<string, Price>>

/** The model that is asked where nobody chose one. */
export const defaultModel = 'accounts/fireworks/models/llama-v3p3-70b-instruct'

/** From https://fireworks.ai/pricing, base models of 16.1B to 80B parameters; a price of the config goes before it. */
const known: Prices = { [defaultModel]: { input: 0.9, output: 0.9 } }

/** The prices that hold with these settings; CONFIG_INVALID when a budget in USD meets a model without a price. */
export function pricesOf({ prices, budget }: LlmSettings, model: string): Prices {
  const all = { ...known, ...prices }
  const counted = (['perAgent', 'perTeam'] as const).find((scope) => budget[scope]?.usd !== undefined)
  if (counted === undefined || Object.hasOwn(all, model)) return all
  const expected = `expected "${model}": { input: …, output: … }, in USD per 1,000,000 tokens`
  throw new ActorError('CONFIG_INVALID', `llm.prices: found none of ${model}, so llm.budget.${counted}.usd cannot be kept; ${expected}`)
}

/** What so many tokens are; null dollars for a model without a price. */
export function costOf(
  price: Price | undefined,
  inputTokens: number,
  outputTokens: number,
): { readonly tokens: number; readonly usd: number | null } {
  const usd = price ? (inputTokens * price.input + outputTokens * price.output) / 1_000_000 : null
  return { tokens: inputTokens + outputTokens, usd }
}

/** What a budget counts of a cost: what has no price is counted in tokens alone. */
export function amountOf({ tokens, usd }: ReturnType<typeof costOf>): Amount {
  return { tokens, usd: usd ?? 0 }
}
