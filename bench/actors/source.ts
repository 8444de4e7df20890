import { defineActor } from 'troupe/actor'

const atOnce = 1_024

/** Sends another actor so many notes in bursts of so many: the next burst leaves when there is room for it. */
export default defineActor({
  receive: {
    async send(body, ctx) {
      const { to, count, burst } = body as { to: string; count: number; burst: number }
      ctx.log.info('began', { at: String(process.hrtime.bigint()) })
      const open = new Set<Promise<unknown>>()
      for (let sent = 0; sent < count; sent += burst) {
        const size = Math.min(burst, count - sent)
        const told = Promise.all(Array.from({ length: size }, () => ctx.tell(to, 'note', { n: sent }, { now: true })))
        open.add(told)
        void told.finally(() => open.delete(told))
        if (open.size * burst >= atOnce) await Promise.race(open)
      }
      await Promise.all(open)
    },
  },
})
