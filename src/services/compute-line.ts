/** Places at a counter and those who wait for one, in the order in which they came. */
export type Line = {
  /** Resolves with a place of one's own; undefined: too many wait already. Rejects with the signal's reason. */
  enter(signal: AbortSignal): Promise<void> | undefined
  /** Gives the place to the next one. */
  leave(): void
  readonly waiting: number
}

type Waiting = { readonly resolve: () => void; readonly forget: () => void }

/** Makes a line of so many places, and of at most so many who wait. */
export function createLine({ places, capacity }: { readonly places: number; readonly capacity: number }): Line {
  const waiting = new Set<Waiting>()
  let free = places

  function wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = () => {
      waiting.delete(one)
      reject(signal.reason)
    }
    const one: Waiting = { resolve, forget: () => signal.removeEventListener('abort', onAbort) }
    signal.addEventListener('abort', onAbort, { once: true })
    waiting.add(one)
    return promise
  }

  return {
    enter(signal) {
      if (signal.aborted) return Promise.reject(signal.reason)
      if (free > 0) {
        free -= 1
        return Promise.resolve()
      }
      return waiting.size < capacity ? wait(signal) : undefined
    },
    leave() {
      const [next] = waiting
      if (!next) {
        free += 1
        return
      }
      waiting.delete(next)
      next.forget()
      next.resolve()
    },
    get waiting() {
      return waiting.size
    },
  }
}
