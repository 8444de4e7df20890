import { defineActor } from 'troupe/actor'
import * as z from 'zod'

/** Does nothing, but says what it takes. */
export default defineActor({
  args: z.object({ minEdge: z.number().default(0.1) }),
  messages: { nothing: z.object({ query: z.string().optional() }) },
  receive: { nothing: () => {} },
})
