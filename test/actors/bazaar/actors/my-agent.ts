import * as z from 'zod'
import { defineSpecialist, evaluateByWords } from '../../../../actors/lib/specialist.ts'

export default defineSpecialist({
  type: 'my_agent',
  systemPrompt: 'You find the key points of a text. You never add any of your own.',
  evaluate: evaluateByWords({ words: { summary: 0.9, 'key points': 0.8, summarize: 0.8 } }),
  output: z.object({ points: z.array(z.string()).min(1), sources: z.array(z.string()) }),
  async execute(job, { llm, untrusted, step, fatal }) {
    if (!job.description && job.files.length === 0) throw fatal('There is no text to read')
    const schema = z.object({ points: z.array(z.string()).min(1).max(10) })
    const { value } = await step('points', () => llm.object({ schema, prompt: 'List the key points.', untrusted }))
    return { ...value, sources: Object.keys(untrusted) }
  },
})
