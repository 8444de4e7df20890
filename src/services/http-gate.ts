/** Lets an agent's requests through, so many at a time and so many a second. */
export type Gate = {
  /** Lets it begin as soon as there is room, perhaps at once; false: the line is full. */
  enter(one: Entrant): boolean
  /** One that has begun is over. */
  leave(): void
  /** It does not want to begin any more. */
  forget(one: Entrant): void
  close(): void
}

/** What wants to pass. */
export type Entrant = { begin(): void }

export type GateOptions = {
  readonly concurrency: number
  /** Requests in a second, of which one second's may come at once. */
  readonly rate?: number | undefined
  /** Requests that may wait. */
  readonly line: number
}

/** Makes a gate: a token bucket behind a counter, in the order in which requests came. */
export function createGate({ concurrency, rate, line }: GateOptions): Gate {
  const waiting = new Set<Entrant>()
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
    for (const one of waiting) {
      if (active >= concurrency) return
      const ms = wait()
      if (ms > 0) {
        timer ??= setTimeout(() => {
          timer = undefined
          advance()
        }, Math.ceil(ms))
        return
      }
      waiting.delete(one)
      pass(one)
    }
  }

  function pass(one: Entrant): void {
    if (rate !== undefined) tokens -= 1
    active += 1
    one.begin()
  }

  return {
    enter(one) {
      if (waiting.size === 0 && active < concurrency && wait() === 0) {
        pass(one)
        return true
      }
      if (waiting.size >= line) return false
      waiting.add(one)
      advance()
      return true
    },
    leave() {
      active -= 1
      // Not within it: of those that wait, each may be over as soon as it begins, and would begin the next one inside itself.
      queueMicrotask(advance)
    },
    forget(one) {
      waiting.delete(one)
    },
    close() {
      clearTimeout(timer)
      waiting.clear()
    },
  }
}
