import { expect, test } from 'vitest'
import { llmSettings } from '../../src/sources/llm-settings.ts'

test('every setting of models has a default, and no budget is one', () => {
  expect(llmSettings.parse({})).toEqual({
    concurrency: 8,
    queue: 1_000,
    timeout: 60_000,
    maxPromptTokens: 32_000,
    maxTokens: 4_096,
    prices: {},
    budget: {},
  })
})

test('budgets are per day unless told', () => {
  const { budget } = llmSettings.parse({ budget: { perAgent: { tokens: 1_000_000 }, perTeam: { usd: 2.5, every: 'hour' } } })
  expect(budget).toEqual({ perAgent: { tokens: 1_000_000, every: 'day' }, perTeam: { usd: 2.5, every: 'hour' } })
})

test.each([{ concurrency: 0 }, { budget: { perAgent: { usd: 0 } } }, { prices: { m: { input: 1 } } }, { key: 'x' }])(
  'refuses %j',
  (settings) => {
    expect(llmSettings.safeParse(settings).success).toBe(false)
  },
)
