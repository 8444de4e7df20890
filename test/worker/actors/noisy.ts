// biome-ignore-all lint/suspicious/noConsole: what it prints is what the tests look at
import { ActorError, defineActor } from 'troupe/actor'

/** Prints, and ends its thread in several ways. */
export default defineActor({
  receive: {
    crash(body) {
      for (let line = 0; line < 1_000; line += 1) console.log('line', line)
      if (body === 'exit') process.exit(3)
      if (body === 'throw') setImmediate(() => fail())
      if (body === 'reject') void Promise.reject(new ActorError('BUDGET_EXCEEDED', 'too much'))
      return new Promise(() => {})
    },
    log(_body, ctx) {
      ctx.log.info('plain')
      ctx.log.warn('with fields', { market: 'm', msg: 'mine', cyclic: globalThis, err: new RangeError('off') })
      console.error('from the %s', 'console')
      console.dir({ a: 1 })
      process.stderr.write('direct\n')
      ctx.status('blocked', 'rate limit')
    },
    says(reason, ctx) {
      ctx.status('idle', reason as string)
    },
    endless() {
      for (;;) console.log('again')
    },
  },
})

process.on('exit', () => console.log('last words'))

function fail(): never {
  throw Object.assign(new Error('out of the blue'), { code: 'E_BLUE' })
}
