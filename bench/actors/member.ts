import { defineActor } from 'troupe/actor'

/** Hands notes around: each turn handles one, saves a state and sends one on. */
export default defineActor({
  persist: true,
  init: () => ({ seen: 0 }),
  receive: {
    note(body, ctx) {
      ctx.state = { seen: ctx.state.seen + 1 }
      ctx.tell((ctx.args as { next: string }).next, 'note', body)
    },
  },
})
