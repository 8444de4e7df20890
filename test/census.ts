import { readdirSync, readlinkSync } from 'node:fs'
import { collectGarbage } from '../src/worker/collect.ts'

/** What a process would leak: listeners, handles and ports, file descriptors, threads. */
export type Census = { readonly listeners: number; readonly handles: number; readonly descriptors: number; readonly threads: number }

export function census(): Census {
  const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
  const handles = process.getActiveResourcesInfo().filter((name) => !/^(Timeout|Immediate|FSReq)/.test(name)).length
  const descriptors = entries('/proc/self/fd').filter((name) => !isOfDatabase(`/proc/self/fd/${name}`)).length
  return { listeners, handles, descriptors, threads: entries('/proc/self/task').length }
}

function entries(folder: string): string[] {
  return process.platform === 'linux' ? readdirSync(folder) : []
}

/** The embedded database opens the files of its tables when it first needs them. */
function isOfDatabase(descriptor: string): boolean {
  try {
    return /\/db\/(base|global|pg_\w+)\//.test(readlinkSync(descriptor))
  } catch {
    return true // closed meanwhile: it was that of the listing
  }
}

/** MB that the process holds, and that its main thread's heap holds once it has been cleared. */
export function memory(): { readonly rss: number; readonly heap: number } {
  collectGarbage()
  const { rss, heapUsed } = process.memoryUsage()
  return { rss: Math.round(rss / 2 ** 20), heap: Math.round(heapUsed / 2 ** 20) }
}
