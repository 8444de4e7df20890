import type { Context, Llm } from 'troupe/actor'
import { expect, test } from 'vitest'
import { countUsage, withoutUsage, withUsage } from '../../actors/lib/model-usage.ts'

const one = [{ model: 'small', inputTokens: 10, outputTokens: 5, usd: 0.01 }]

test('a result comes back as it was, with what models took for it', () => {
  const values = ['A text', 7, null, [1], { points: ['a'] }, { output: 'A text' }, { modelUsage: 'much' }, { modelUsage: one }, {}]
  const carried = values.map((value) => JSON.parse(JSON.stringify(withUsage(value, one))))
  expect(carried.map(withoutUsage)).toEqual(values.map((output) => ({ output, used: one })))
  expect([carried[0], carried[4]]).toEqual([
    { output: 'A text', modelUsage: one },
    { points: ['a'], modelUsage: one },
  ])
  const date = new Date(0)
  expect(JSON.parse(JSON.stringify(withUsage(date, one)))).toEqual({ output: date.toISOString(), modelUsage: one })
  expect([values.map((value) => withUsage(value, [])), withoutUsage({ modelUsage: 'much' })]).toEqual([
    values,
    { output: { modelUsage: 'much' }, used: [] },
  ])
})

test('counts each answer once, by model, also those of steps that a former turn has run', async () => {
  const steps = new Map<string, string>()
  async function step(name: string, fn: () => unknown): Promise<unknown> {
    if (!steps.has(name)) steps.set(name, JSON.stringify((await fn()) ?? null))
    return JSON.parse(steps.get(name) ?? '')
  }
  let calls = 0
  const usage = { inputTokens: 10, outputTokens: 5 }
  const llm = {
    text: async ({ model = 'small' }) => ({ text: `answer ${++calls}`, model, isCut: false, usage: { ...usage, usd: null } }),
    object: async () => ({ value: ++calls, model: 'large', usage: { ...usage, usd: 0.01 } }),
  } as unknown as Llm

  async function turn(): Promise<unknown> {
    const work = countUsage({ llm, step: step as Context['step'] })
    const said = await Promise.all([
      work.step('text', async () => (await work.llm.text({ prompt: '?' })).text),
      work.step('number', async () => (await work.llm.object({ prompt: '?', schema: {} as never })).value),
      work.step('nothing', () => undefined),
      work.step('lost', async () => void (await work.llm.text({ prompt: '?' }))),
    ])
    await work.llm.text({ prompt: '?' })
    return { said, used: work.used() }
  }

  const small = { model: 'small', inputTokens: 30, outputTokens: 15, usd: null }
  const expected = {
    said: ['answer 1', 2, null, null],
    used: expect.arrayContaining([small, { model: 'large', inputTokens: 10, outputTokens: 5, usd: 0.01 }]),
  }
  expect([await turn(), await turn(), calls]).toEqual([expected, expected, 5])
})
