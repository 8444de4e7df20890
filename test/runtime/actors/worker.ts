import { defineActor } from 'troupe/actor'

type Work = { readonly n: number; readonly failures?: number }

let runs = 0

/** Does jobs, keeps what it hears, and fails as often as it is told. */
export default defineActor({
  persist: true,
  jobs: { work: true },
  init: () => ({ news: [] as unknown[], tried: 0, done: 0 }),
  receive: {
    news(body, ctx) {
      ctx.state = { ...ctx.state, news: [...ctx.state.news, body] }
    },
    read: (_, ctx) => ctx.state,
    fail(_, ctx) {
      throw ctx.retry(1, `attempt ${ctx.attempt}`)
    },
    poison() {
      process.exit(9)
    },
    /** Says that it has begun, and ends when it is told to. */
    async hang(body, ctx) {
      await ctx.tell(body as string, 'news', 'begun', { now: true })
      await new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)))
    },
    async once(_, ctx) {
      await ctx.step('count', () => {
        runs += 1
      })
      if (ctx.attempt === 1) throw ctx.retry(1)
      return { attempts: ctx.attempt, runs }
    },
  },
  run: {
    work(input, ctx) {
      const { n } = input as Work
      ctx.state = { ...ctx.state, done: ctx.state.done + 1 }
      return { twice: 2 * n }
    },
  },
})
