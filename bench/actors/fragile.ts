import { defineActor } from 'troupe/actor'

/** Says in the log when it crashes, and when a new incarnation of it handles something; by a clock that all threads share. */
export default defineActor({
  receive: {
    crash(body, ctx) {
      setTimeout(() => {
        ctx.log.info('crash', { at: String(process.hrtime.bigint()) })
        throw new Error('as told')
      }, Number(body))
      return new Promise<never>(() => {})
    },
    hello: (_, ctx) => ctx.log.info('hello', { at: String(process.hrtime.bigint()) }),
  },
})
