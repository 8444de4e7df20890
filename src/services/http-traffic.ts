/** What one agent and one origin had to do with each other in a while; bytes are those of bodies, ms those of whole requests. */
export type Traffic = {
  requests: number
  /** Ended by an error. */
  failed: number
  /** Aborted by the actor, or by its end. */
  aborted: number
  retried: number
  denied: number
  sent: number
  received: number
  /** The longest. */
  slowest: number
}

/** Counts traffic by origin, and reports now and then what there was. */
export function createTraffic(report: (origin: string, traffic: Readonly<Traffic>) => void, every: number) {
  const counts = new Map<string, Traffic>()
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    for (const [origin, traffic] of counts) report(origin, traffic)
    counts.clear()
  }

  return {
    /** Whoever has this counts at once: it is reported and made anew. */
    of(origin: string): Traffic {
      timer ??= setTimeout(flush, every).unref()
      const found = counts.get(origin)
      if (found) return found
      const fresh = { requests: 0, failed: 0, aborted: 0, retried: 0, denied: 0, sent: 0, received: 0, slowest: 0 }
      counts.set(origin, fresh)
      return fresh
    },
    flush,
  }
}
