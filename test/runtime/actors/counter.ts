import { defineActor } from 'troupe/actor'

/** Counts what it is told; the sum is saved. */
export default defineActor({
  persist: true,
  init: () => ({ sum: 0, heard: [] as number[] }),
  receive: {
    add(body, ctx) {
      const n = body as number
      ctx.state = { sum: ctx.state.sum + n, heard: [...ctx.state.heard, n] }
      return ctx.state.sum
    },
    read: (_, ctx) => ctx.state,
    crash() {
      process.exit(3)
    },
  },
})
