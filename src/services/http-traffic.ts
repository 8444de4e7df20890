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

const none: Readonly<Traffic> = { requests: 0, failed: 0, aborted: 0, retried: 0, denied: 0, sent: 0, received: 0, slowest: 0 }

/** Origins that are counted by name; an actor may invent as many as it likes, and the rest is one. */
const most = 1_000
const others = 'other origins'

/** Counts traffic by origin, and reports now and then what there was. */
export function createTraffic(report: (origin: string, traffic: Readonly<Traffic>) => void, every: number) {
  const counts = new Map<string, Traffic>()
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    for (const [origin, traffic] of counts) {
      // Also of requests that were reported before, such as a stream that goes on.
      if (Object.values(traffic).some((count) => count > 0)) report(origin, { ...traffic })
      Object.assign(traffic, none)
    }
  }

  return {
    /** The counters of an origin, which are the same for ever; whoever counts a request says so by `counted`. */
    of(origin: string): Traffic {
      const name = counts.has(origin) || counts.size < most ? origin : others
      const traffic = counts.get(name) ?? { ...none }
      counts.set(name, traffic)
      return traffic
    },
    counted(): void {
      timer ??= setTimeout(flush, every).unref()
    },
    flush,
  }
}
