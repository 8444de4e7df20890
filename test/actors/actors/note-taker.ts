import * as z from 'zod'
import { declined, defineSpecialist } from '../../../actors/lib/specialist.ts'

/** A user's own specialist: one answer by schema, one that it hands on as it is. */
export default defineSpecialist({
  type: 'note_taker',
  systemPrompt: 'You take notes.',
  evaluate: () => declined('it takes what it is given'),
  async execute({ capabilities }, { llm, untrusted, step }) {
    if (capabilities.includes('prose')) return await step('prose', async () => (await llm.text({ prompt: 'Sum it up.', untrusted })).text)
    const schema = z.looseObject({ points: z.array(z.string()).min(1).max(10) })
    return await step('points', async () => (await llm.object({ schema, prompt: 'List the key points.', untrusted })).value)
  },
})
