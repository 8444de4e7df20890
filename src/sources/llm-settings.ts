import * as z from 'zod'
import { span } from './units.ts'

const count = z.int().positive()

const limits = z
  .strictObject({
    tokens: count.optional().describe('Input and output together'),
    usd: z.number().positive().optional().describe('By the prices of `llm.prices`: every model that is used needs one'),
    every: z.enum(['hour', 'day']).default('day').describe('Starts anew with each hour or day of UTC'),
  })
  .optional()

const price = z.strictObject({ input: z.number().nonnegative(), output: z.number().nonnegative() })

/** The section `llm` of a config: what calls to models may take. */
export const llmSettings = z.strictObject({
  model: z.string().min(1).max(200).optional().describe('The model for calls that name none; LLM_MODEL goes before it'),
  concurrency: count.max(1_000).default(8).describe('Calls at a time'),
  queue: count.max(100_000).default(1_000).describe('Calls that wait for their turn; one more fails at once'),
  timeout: span.default(60_000).describe('For one answer, its wait and repeated requests included'),
  maxPromptTokens: count.default(32_000).describe('A longer prompt is refused before it is paid; counted as bytes / 3.5'),
  maxTokens: count.default(4_096).describe('Of an answer, for calls that do not say; the budgets reckon with it'),
  prices: z.record(z.string().min(1), price).default({}).describe('US dollars per 1,000,000 tokens, by model'),
  budget: z
    .strictObject({
      perAgent: limits.describe('What each agent may use'),
      perTeam: limits.describe('What the agents of each team may use together'),
    })
    .prefault({}),
})
export type LlmSettings = z.output<typeof llmSettings>
