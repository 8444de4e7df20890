import { setTimeout } from 'node:timers/promises'

const passing = new Set([
  ...['40001', '40P01', '57014', '57P01', '57P02', '57P03', '53300', '25006', '08006'],
  ...['CONNECTION_CLOSED', 'CONNECTION_ENDED', 'CONNECTION_DESTROYED', 'CONNECT_TIMEOUT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'],
])

/** Repeats the identical request while its failure is one that passes, as the store does; `onFailure` hears each code. */
export async function persist<Result>(request: () => Promise<Result>, onFailure?: (code: string) => void): Promise<Result> {
  const limit = Date.now() + 20_000
  for (;;) {
    try {
      return await request()
    } catch (error) {
      const { code = '' } = error as { code?: string }
      if (!passing.has(code) || Date.now() > limit) throw error
      onFailure?.(code)
      await setTimeout(10 * Math.random()) // jitter, so that those who collided do not collide again
    }
  }
}
