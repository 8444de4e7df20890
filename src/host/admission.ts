import { readdirSync, readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { performance } from 'node:perf_hooks'
import { findShortage, memoryBudget, type Readings, type Shortage, type Usage, withThreads } from '../core/admission.ts'

/** Whether there is room for one more thread. */
export type Admission = {
  /** Says what is missing; nothing: the thread may start, and is counted. */
  admit(): Shortage | undefined
}

export type AdmissionOptions = {
  /** Bytes that the process may take in all; that of its container or machine by default, less a reserve. */
  readonly memory?: number
  readonly read?: () => Readings
  readonly now?: () => number
}

/** Ms that readings are used for: thousands of maps take a while to count. */
const keep = 1_000

/** Asks the system, as far as it tells (Linux), and admits everything elsewhere. */
export function createAdmission({
  memory = memoryBudget({ constrained: process.constrainedMemory(), total: totalmem() }),
  read = () => readProcess(memory),
  now = () => performance.now(),
}: AdmissionOptions = {}): Admission {
  let last: { readonly at: number; readonly readings: Readings } | undefined
  let admitted = 0
  return {
    admit() {
      if (!last || now() - last.at >= keep) {
        last = { at: now(), readings: read() }
        admitted = 0
      }
      const shortage = findShortage(withThreads(last.readings, admitted))
      if (!shortage) admitted += 1
      return shortage
    },
  }
}

/** Reads what this process uses of what threads need. */
export function readProcess(memory: number): Readings {
  const descriptors = usage(
    () => readdirSync('/proc/self/fd').length,
    () => Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]),
  )
  const maps = usage(
    () => readFileSync('/proc/self/maps', 'latin1').split('\n').length - 1,
    () => Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8')),
  )
  return {
    ...(descriptors && { descriptors }),
    ...(maps && { maps }),
    memory: { used: ownMemory(), limit: memory },
  }
}

/** Bytes that only this process can give back: what it has mapped of files, such as Node itself, the system takes when it needs it. */
function ownMemory(): number {
  const own = usage(
    () => Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1_024,
    () => 0,
  )
  return own?.used || process.memoryUsage.rss()
}

function usage(readUsed: () => number, readLimit: () => number): Usage | undefined {
  try {
    const [used, limit] = [readUsed(), readLimit()]
    return Number.isNaN(limit) ? undefined : { used, limit } // "unlimited" is no number
  } catch {
    // Another system, or /proc is closed: what cannot be known refuses nobody.
    return undefined
  }
}
