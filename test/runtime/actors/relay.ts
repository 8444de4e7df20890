import { defineActor } from 'troupe/actor'

type Told = { readonly to: string; readonly type: string; readonly body?: unknown }

/** Passes on what it is told, in every way there is. */
export default defineActor({
  receive: {
    tell: (body, ctx) => {
      const { to, type, body: inner } = body as Told
      ctx.tell(to, type, inner)
    },
    ask: (body, ctx) => {
      const { to, type, body: inner } = body as Told
      return ctx.ask(to, type, inner)
    },
    broadcast: (body, ctx) => ctx.broadcast('news', body),
    later: (body, ctx) => {
      const { type, body: inner } = body as Told
      ctx.after(20, type, inner)
    },
    create: (body, ctx) => ctx.jobs.create('work', body),
  },
})
