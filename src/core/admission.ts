/** How much of something the process uses, and how much it may use. */
export type Usage = { readonly used: number; readonly limit: number }

/** What a thread takes, as far as the system tells: nothing is said of what it does not tell. */
export type Readings = {
  readonly descriptors?: Usage
  readonly maps?: Usage
  /** Resident bytes of the process and the budget for them. */
  readonly memory?: Usage
}

/** What there is not enough of for one more thread. */
export type Shortage = { readonly what: keyof Readings; readonly usage: Usage; readonly message: string }

/** Measured: a thread without anything to do. Maps are twice what is usual, because running out of them aborts the process. */
export const perThread = { descriptors: 5, maps: 100, memory: 15 * 2 ** 20 } as const satisfies Record<keyof Readings, number>

/** Descriptors that stay free for sockets and files. */
const spareDescriptors = 100
/** The part of the maps that threads may have; past the limit V8 aborts the whole process. */
const mapShare = 0.9

/** The part of the memory that stays free, for what runs already and grows: at least and at most so many bytes. */
const memoryReserve = { share: 0.1, least: 32 * 2 ** 20, most: 512 * 2 ** 20 } as const

/**
 * Bytes that threads may fill: what the container may have, else what the machine has, without a reserve. `constrained` is 0 or
 * beyond the machine's own where nothing limits the process.
 */
export function memoryBudget({ constrained, total }: { readonly constrained: number; readonly total: number }): number {
  const limit = constrained > 0 ? Math.min(constrained, total) : total
  const { share, least, most } = memoryReserve
  return limit - Math.min(most, Math.max(least, Math.round(limit * share)))
}

/** Decides whether one more thread may start. */
export function findShortage({ descriptors, maps, memory }: Readings): Shortage | undefined {
  if (descriptors && descriptors.used + perThread.descriptors > descriptors.limit - spareDescriptors) {
    const cure = 'Raise the limit (ulimit -n 16384) or run fewer agents in this process.'
    return shortage(
      'descriptors',
      descriptors,
      `File descriptors are exhausted: ${ratio(descriptors)}, ${spareDescriptors} stay free. ${cure}`,
    )
  }
  if (maps && maps.used + perThread.maps > maps.limit * mapShare) {
    const cure = 'Raise it (sysctl vm.max_map_count=262144) or run fewer agents in this process.'
    return shortage('maps', maps, `Memory maps are exhausted: ${ratio(maps)} (vm.max_map_count). ${cure}`)
  }
  if (memory && memory.used + perThread.memory > memory.limit) {
    const cure = 'Give its container or machine more, or run fewer agents in this process.'
    return shortage('memory', memory, `The memory budget is exhausted: ${inMegabytes(memory)} in use. ${cure}`)
  }
  return undefined
}

/** The readings once this many threads have started since: what is read is a second old. */
export function withThreads(readings: Readings, threads: number): Readings {
  const add = (what: keyof Readings) => {
    const usage = readings[what]
    return usage && { [what]: { ...usage, used: usage.used + threads * perThread[what] } }
  }
  return { ...add('descriptors'), ...add('maps'), ...add('memory') }
}

function shortage(what: keyof Readings, usage: Usage, message: string): Shortage {
  return { what, usage, message: `No thread for one more agent. ${message}` }
}

function ratio({ used, limit }: Usage): string {
  return `${used} of ${limit} in use`
}

function inMegabytes({ used, limit }: Usage): string {
  return `${Math.round(used / 2 ** 20)} of ${Math.round(limit / 2 ** 20)} MB`
}
