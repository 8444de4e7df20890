import type { MemoryLimits } from './agent.ts'

/** Bytes that a thread holds: V8's heap, what of it is in use, and what lies outside of it, as Buffers do. */
export type Heap = { readonly total: number; readonly used: number; readonly external: number }

/** What counts against the soft limit. */
export function heldBy(heap: Heap): number {
  return heap.total + heap.external
}

/** Above half of its soft limit a thread is looked at more often. */
const closePoll = 50

/** The ms until the next look at a thread's memory; none if it holds too much and has to end. */
export function nextLook(heap: Heap, { soft, poll }: MemoryLimits): number | undefined {
  const held = heldBy(heap)
  if (held > soft) return undefined
  return held > soft / 2 ? Math.min(poll, closePoll) : poll
}

/** What a look at a thread's event loop finds: whether anything came from it, and how busy it was since the look before. */
export type Look = { readonly isHeard: boolean; readonly utilization: number; readonly elapsed: number; readonly interval: number }

/** A loop that turns now and then is never this busy: turning takes time as well. */
const blocked = 0.99

/**
 * How long a thread has been silent because its event loop is blocked, after one more look. A loop that idles is not: then the
 * host was too busy to read. And time in which the host itself stood still, or the whole machine slept, counts as one interval.
 */
export function countSilence(silent: number, { isHeard, utilization, elapsed, interval }: Look): number {
  return isHeard || utilization < blocked ? 0 : silent + Math.min(elapsed, interval)
}
