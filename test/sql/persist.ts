import { setTimeout } from 'node:timers/promises'
import { failureKind } from '../../src/store/failure.ts'

/** What the driver says instead of PostgreSQL when there is no connection. */
const disconnected = /^(CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|ECONNREFUSED|ECONNRESET|EPIPE)$/
const isPassing = (code: string) => disconnected.test(code) || failureKind(400, code) === 'unavailable'

/** Repeats the identical request while its failure is one that passes, as the store does; `onFailure` hears each code. */
export async function persist<Result>(request: () => Promise<Result>, onFailure?: (code: string) => void): Promise<Result> {
  const limit = Date.now() + 20_000
  for (;;) {
    try {
      return await request()
    } catch (error) {
      const { code = '' } = error as { code?: string }
      if (!isPassing(code) || Date.now() > limit) throw error
      onFailure?.(code)
      await setTimeout(10 * Math.random()) // jitter, so that those who collided do not collide again
    }
  }
}
