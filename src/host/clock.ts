import { performance } from 'node:perf_hooks'
import { longestTimer } from '../core/longest-timer.ts'

/** Monotonic ms and timers, so that tests can have their own. */
export type Clock = {
  now(): number
  /** Calls back once, unless the function that it returns is called first. */
  after(ms: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    // Node's timers may fire a fraction of a millisecond early; what is too far away is looked at again by its owner.
    const timer = setTimeout(callback, Math.min(Math.max(0, Math.ceil(ms)), longestTimer))
    return () => clearTimeout(timer)
  },
}

/** Wall-clock ms that never go back: what is saved has to mean something to the next process. */
export const wallNow = () => performance.timeOrigin + performance.now()

/** One timer that can be set anew; the earlier of two times counts. */
export function createAlarm(clock: Clock, onDue: () => void) {
  let due: { at: number; cancel: () => void } | undefined

  function clear(): void {
    due?.cancel()
    due = undefined
  }

  function ring(): void {
    due = undefined
    onDue()
  }

  return {
    clear,
    /** Rings at `at` and not at any other time; undefined is never. */
    set(at: number | undefined): void {
      if (due && due.at === at) return
      clear()
      if (at !== undefined && Number.isFinite(at)) due = { at, cancel: clock.after(at - clock.now(), ring) }
    },
    /** Rings at `at`, or when it was to ring, whichever comes first. */
    sooner(at: number): void {
      if (!due || at < due.at) this.set(at)
    },
  }
}
