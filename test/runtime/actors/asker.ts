import { defineActor } from 'troupe/actor'

/** Asks a model and the network, as its messages say. */
export default defineActor({
  messages: { think: true, look: true, go: true },
  jobs: { ponder: true },
  origins: ['https://api.example.com'],
  receive: {
    /** Pays once, however often it is tried. */
    async think(_, ctx) {
      const { text } = await ctx.step('think', () => ctx.llm.text({ prompt: 'Think.' }))
      if (ctx.attempt === 1) throw ctx.retry(1, 'once more')
      return { text, attempt: ctx.attempt }
    },
    look: (_, { attempt }) => ({ attempt }),
    async go(url, ctx) {
      const { status } = await ctx.http(url as string)
      return { status, byFetch: (await fetch(url as string)).status }
    },
  },
  run: {
    async ponder(_, ctx) {
      return (await ctx.llm.text({ prompt: 'Ponder.' })).text
    },
  },
})
