import { longestTimer } from '../core/longest-timer.ts'

/** Timers by id, each due at a time of the clock; setting one replaces the one of the same id. */
export function createAlarms(now: () => number, onDue: (id: string, at: number) => void) {
  /** How to end each. */
  const ends = new Map<string, () => void>()

  function clear(id: string): void {
    ends.get(id)?.()
    ends.delete(id)
  }

  function set(id: string, at: number): void {
    clear(id)
    const ring = () => {
      ends.delete(id)
      onDue(id, at)
    }
    ends.set(
      id,
      wait(at - now(), ring, () => set(id, at)),
    )
  }

  function wait(delay: number, ring: () => void, again: () => void): () => void {
    // A timer takes a ms at least, which is a tenth of the time in which a thread that stood by takes over.
    if (delay <= 0) {
      const immediate = setImmediate(ring)
      return () => clearImmediate(immediate)
    }
    const timer = delay > longestTimer ? setTimeout(again, longestTimer) : setTimeout(ring, delay)
    return () => clearTimeout(timer)
  }

  return { set, clear }
}
