import { longestTimer } from '../core/longest-timer.ts'

/** Timers by id, each due at a time of the clock; setting one replaces the one of the same id. */
export function createAlarms(now: () => number, onDue: (id: string, at: number) => void) {
  const timers = new Map<string, NodeJS.Timeout>()

  function clear(id: string): void {
    clearTimeout(timers.get(id))
    timers.delete(id)
  }

  function set(id: string, at: number): void {
    clear(id)
    const delay = Math.max(0, at - now())
    const ring = () => {
      timers.delete(id)
      onDue(id, at)
    }
    timers.set(id, delay > longestTimer ? setTimeout(() => set(id, at), longestTimer) : setTimeout(ring, delay))
  }

  return { set, clear }
}
