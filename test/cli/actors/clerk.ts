import { defineActor } from 'troupe/actor'

type Args = { readonly isLame?: boolean }

/** Counts what it is told, fails where it is told to, and does cards. */
export default defineActor({
  persist: true,
  messages: { add: true },
  jobs: { write_card: true },
  init(ctx) {
    if ((ctx.args as Args).isLame) throw new RangeError('no wings')
    return { sum: 0 }
  },
  receive: {
    add(body, ctx) {
      ctx.state = { sum: ctx.state.sum + (body as number) }
      return ctx.state
    },
    work(body, ctx) {
      ctx.status('blocked', String(body))
    },
    refuse(_, ctx) {
      throw ctx.fatal('not today')
    },
    news() {},
    crash() {
      process.exit(3)
    },
  },
  run: {
    write_card(input) {
      const { name } = input as { name?: string }
      return { card: `To ${name}` }
    },
  },
})
