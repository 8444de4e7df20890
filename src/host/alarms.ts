/** What setTimeout can wait for; it takes more for nothing. */
const longest = 2 ** 31 - 1

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
    timers.set(id, delay > longest ? setTimeout(() => set(id, at), longest) : setTimeout(ring, delay))
  }

  return { set, clear }
}
