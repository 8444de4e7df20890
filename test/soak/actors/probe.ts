import { defineActor } from 'troupe/actor'

/** What the probe has found. */
export type Found = { readonly asked: number; readonly slowest: number; readonly failed: readonly string[] }

type Args = { readonly accounts: readonly string[]; readonly every: number }

/** Asks accounts in turn whether they still answer, and how fast. */
export default defineActor({
  persist: true,
  messages: { ping: true, rest: true },
  init(ctx): Found {
    ctx.every((ctx.args as Args).every, 'ping')
    return { asked: 0, slowest: 0, failed: [] }
  },
  receive: {
    async ping(_, ctx) {
      const { accounts } = ctx.args as Args
      const { asked, slowest, failed } = ctx.state
      const began = performance.now()
      const failure = await ctx.ask(accounts[asked % accounts.length] ?? '', 'look', asked).then(
        () => [],
        (error: Error) => [error.message],
      )
      ctx.state = { asked: asked + 1, slowest: Math.max(slowest, Math.round(performance.now() - began)), failed: [...failed, ...failure] }
    },
    rest(_, ctx) {
      ctx.cancel('ping')
    },
  },
})
