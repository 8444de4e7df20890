/** Lets at most `width` pieces of work run at a time, in the order they came; the rest waits, up to `capacity`. */
export interface Lane {
  /** Starts the work when there is room; `full` when too much waits already. */
  run(work: () => Promise<void>, options?: { id?: number }): 'accepted' | 'full'
  /** Takes work out of the waiting line; false when it is not there: what runs already is not stopped. */
  drop(id: number): boolean
  /** Resolves when everything accepted so far has ended. */
  drained(): Promise<void>
}

/** Makes a lane. The work must not throw: it answers for its own failures. */
export function createLane({ width, capacity }: { width: number; capacity: number }): Lane {
  const waiting: Array<{ work: () => Promise<void>; id: number | undefined }> = []
  const idle: Array<() => void> = []
  let running = 0

  function next(): void {
    while (running < width) {
      const entry = waiting.shift()
      if (!entry) break
      running++
      void entry.work().finally(() => {
        running--
        next()
      })
    }
    if (running === 0) for (const resolve of idle.splice(0)) resolve()
  }

  return {
    run(work, { id } = {}) {
      if (waiting.length >= capacity) return 'full'
      waiting.push({ work, id })
      next()
      return 'accepted'
    },
    drop(id) {
      const at = waiting.findIndex((entry) => entry.id === id)
      return at >= 0 && waiting.splice(at, 1).length > 0
    },
    drained: () => (running === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve))),
  }
}
