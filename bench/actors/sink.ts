import { defineActor } from 'troupe/actor'

const tally = { counted: 0, wanted: Number.POSITIVE_INFINITY }

/** Counts what comes, and says in the log when that is as much as it was told to wait for. */
export default defineActor({
  receive: {
    expect(body, ctx) {
      tally.counted = 0
      tally.wanted = (body as { count: number }).count
      ctx.log.info('expecting')
    },
    note(_, ctx) {
      tally.counted += 1
      if (tally.counted === tally.wanted) ctx.log.info('counted', { at: String(process.hrtime.bigint()) })
    },
    answer: (body) => body,
  },
})
