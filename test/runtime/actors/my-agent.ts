import { existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { defineActor } from 'troupe/actor'
import * as z from 'zod'

/** The actor of documents: it remembers what it was told, and at which rate it worked then. */
export default defineActor({
  args: z.object({
    agent: z.object({ name: z.string(), base_rate_usd: z.number().default(0) }),
    grade: z.number().optional(),
  }),
  persist: true,
  init: () => ({ heard: [] as string[] }),
  receive: {
    hear(body, ctx) {
      ctx.state = { heard: [...ctx.state.heard, `${body} at ${ctx.args.agent.base_rate_usd}`] }
      return ctx.state.heard
    },
    async hold(file, ctx) {
      while (!existsSync(String(file)) && !ctx.signal.aborted) await setTimeout(10)
      ctx.state = { heard: [...ctx.state.heard, `held at ${ctx.args.agent.base_rate_usd}`] }
    },
    args: (_, ctx) => ctx.args,
  },
})
