import { defineSpecialist, evaluateByWords } from '../../../../actors/lib/specialist.ts'

/** A specialist that hands on what a model says, and fails once when it has paid for that. */
export default defineSpecialist({
  type: 'forgetful',
  systemPrompt: 'You sum up.',
  capabilities: { summarizing: 0.9 },
  evaluate: evaluateByWords({ words: { summary: 0.9 } }),
  async execute(_, { llm, untrusted, step, attempt }) {
    const text = await step('text', async () => (await llm.text({ prompt: 'Sum it up.', untrusted })).text)
    if (attempt === 1) throw new Error('It forgot what it was about')
    return text
  },
})
