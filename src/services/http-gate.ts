/** Lets an agent's requests through, so many at a time and so many a second. */
export type Gate = {
  /** Calls `go` when there is room; what it gives back takes it out of the line. Undefined: the line is full. */
  enter(go: () => void): (() => void) | undefined
  /** A request that was let through is over. */
  leave(): void
  close(): void
}

export type GateOptions = {
  readonly concurrency: number
  /** Requests in a second, of which one second's may come at once. */
  readonly rate?: number | undefined
  /** Requests that may wait. */
  readonly line: number
}

/** Makes a gate: a token bucket behind a counter, in the order in which requests came. */
export function createGate({ concurrency, rate, line }: GateOptions): Gate {
  const waiting = new Set<() => void>()
  const burst = Math.max(1, rate ?? 1)
  let tokens = burst
  let filledAt = performance.now()
  let active = 0
  let timer: NodeJS.Timeout | undefined

  /** Ms until there is a token. */
  function wait(): number {
    if (rate === undefined) return 0
    const now = performance.now()
    tokens = Math.min(burst, tokens + ((now - filledAt) * rate) / 1_000)
    filledAt = now
    return tokens >= 1 ? 0 : ((1 - tokens) * 1_000) / rate
  }

  function advance(): void {
    for (const go of waiting) {
      if (active >= concurrency) return
      const ms = wait()
      if (ms > 0) {
        timer ??= setTimeout(() => {
          timer = undefined
          advance()
        }, Math.ceil(ms))
        return
      }
      waiting.delete(go)
      pass(go)
    }
  }

  function pass(go: () => void): void {
    if (rate !== undefined) tokens -= 1
    active += 1
    go()
  }

  return {
    enter(go) {
      if (waiting.size === 0 && active < concurrency && wait() === 0) {
        pass(go)
        return () => {}
      }
      if (waiting.size >= line) return undefined
      waiting.add(go)
      advance()
      return () => void waiting.delete(go)
    },
    leave() {
      active -= 1
      advance()
    },
    close() {
      clearTimeout(timer)
      waiting.clear()
    },
  }
}
