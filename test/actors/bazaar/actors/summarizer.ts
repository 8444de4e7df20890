import { setTimeout as wait } from 'node:timers/promises'
import * as z from 'zod'
import { defineSpecialist, evaluateByWords } from '../../../../actors/lib/specialist.ts'

/** A specialist without a model: it counts words. A title of "fail" fails for good, "broken" at each attempt, "slow 500" takes its time. */
export default defineSpecialist({
  type: 'summarizer',
  job: 'summary',
  systemPrompt: 'You sum up.',
  capabilities: { summarizing: 0.9 },
  baseRateUsd: 0.04,
  evaluate: evaluateByWords({ words: { summary: 0.9, 'sum up': 0.8 } }),
  output: z.object({ words: z.int(), files: z.array(z.string()), by: z.string() }),
  async execute({ title, description, files }, { self, fatal, signal }) {
    if (title.includes('broken')) throw new Error('a word is missing')
    if (title.includes('fail')) throw fatal('there is nothing to sum up')
    const [, ms] = /slow (\d+)/.exec(title) ?? []
    if (ms !== undefined) await wait(Number(ms), undefined, { signal })
    return { words: description.split(/\s+/).length, files: files.map(({ name, text }) => `${name} ${text.length}`), by: self }
  },
})
