import { defineActor } from 'troupe/actor'

/** Hits a ball back until it was hit often enough. */
export default defineActor({
  receive: {
    serve(body, ctx) {
      const { to, left } = body as { to: string; left: number }
      ctx.log.info('began', { at: String(process.hrtime.bigint()) })
      ctx.tell(to, 'ball', { to: ctx.self, left })
    },
    ball(body, ctx) {
      const { to, left } = body as { to: string; left: number }
      if (left === 0) ctx.log.info('over', { at: String(process.hrtime.bigint()) })
      else ctx.tell(to, 'ball', { to: ctx.self, left: left - 1 })
    },
  },
})
