import type { Clock } from '../../src/host/clock.ts'

/** A clock that a test moves. */
export function createManualClock(): Clock & { pass(ms: number): Promise<void> } {
  let now = 0
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>()
  /** Lets promises come to rest. */
  const rest = () => new Promise((resolve) => setImmediate(resolve))

  return {
    now: () => now,
    after(ms, callback) {
      const timer = { at: now + Math.max(0, ms), callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    async pass(ms) {
      const until = now + ms
      await rest()
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= until).sort((one, other) => one.at - other.at)
        if (!next) break
        timers.delete(next)
        now = Math.max(now, next.at)
        next.callback()
        await rest()
      }
      now = until
      await rest()
    },
  }
}
