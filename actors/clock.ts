import { defineActor } from 'troupe/actor'

type Args = { readonly interval?: number; readonly greets?: string }

/** Ticks, and greets somebody at each tick. */
export default defineActor({
  messages: { tick: true },
  init(ctx) {
    const { interval = 60_000 } = ctx.args as Args
    ctx.every(interval, 'tick')
  },
  receive: {
    async tick(_, ctx) {
      const { greets = 'greeter' } = ctx.args as Args
      const reply = await ctx.ask(greets, 'hello', { name: ctx.self })
      ctx.log.info((reply as { text: string }).text)
    },
  },
})
