import { existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { defineActor } from 'troupe/actor'

type Note = { readonly n: number; readonly of: number; readonly tell: string }

/** Counts what it hears and what of it is out of order; tells somebody once it has heard all. */
export default defineActor({
  init: () => ({ heard: 0, wrong: 0, next: {} as Record<string, number> }),
  receive: {
    /** Hears nothing more until the file is there. */
    async wait(body, ctx) {
      while (!existsSync(body as string)) await setTimeout(10, undefined, { signal: ctx.signal })
    },
    /** Never ends, and does not listen. */
    stuck: () => new Promise(() => {}),
    note(body, ctx) {
      const { n, of, tell } = body as Note
      const from = ctx.from ?? ''
      const { heard, wrong, next } = ctx.state
      const isWrong = n !== (next[from] ?? 0)
      ctx.state = { heard: heard + 1, wrong: wrong + (isWrong ? 1 : 0), next: { ...next, [from]: n + 1 } }
      if (ctx.state.heard === of) ctx.tell(tell, 'keep', ctx.state)
    },
  },
})
