import { defineActor } from '../actor.ts'

/** The actor of rehearsals: it does a little of what most actors do. */
export default defineActor({
  persist: true,
  init: () => ({ lines: 0 }),
  receive: {
    line(_, ctx) {
      ctx.state = { lines: ctx.state.lines + 1 }
      ctx.tell(ctx.self, 'line')
      ctx.log.info('line')
    },
  },
})
