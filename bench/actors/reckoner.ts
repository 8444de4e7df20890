import { defineActor } from 'troupe/actor'

/** Has a task done so many times, one after the other, and replies with the ms of each. */
export default defineActor({
  receive: {
    async reckon(body, ctx) {
      const times: number[] = []
      for (let left = (body as { count: number }).count; left > 0; left--) {
        const began = performance.now()
        await ctx.compute(new URL('../tasks/work.ts#nothing', import.meta.url))
        times.push(performance.now() - began)
      }
      return times
    },
  },
})
