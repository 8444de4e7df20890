/** Calls that are under way at the same time, each about agents of its own. */
export type Flights = {
  readonly size: number
  /** Whether a call that is under way is about this agent. */
  has(agent: string): boolean
  /** Makes a call that is about these agents; no other that is under way may be. */
  start(agents: Iterable<string>, call: () => Promise<void>): void
  /** Resolves when one of those that are under way has ended; rejects with its error. */
  landing(): Promise<void>
  /** Resolves when none is under way. */
  landed(): Promise<void>
}

export function createFlights(): Flights {
  const flights = new Map<Promise<void>, ReadonlySet<string>>()
  const landing = () => Promise.race(flights.keys())

  return {
    get size() {
      return flights.size
    },
    has: (agent) => flights.values().some((agents) => agents.has(agent)),
    start(agents, call) {
      const flight = call().finally(() => flights.delete(flight))
      flights.set(flight, new Set(agents))
    },
    landing,
    async landed() {
      while (flights.size > 0) await landing()
    },
  }
}
