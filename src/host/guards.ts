import { performance } from 'node:perf_hooks'
import type { MemoryLimits } from '../core/agent.ts'
import type { Reason } from '../core/ending.ts'
import { countSilence, type Heap, heldBy, nextLook } from '../core/guard.ts'
import { longestTimer } from '../core/longest-timer.ts'
import type { Thread } from './thread.ts'

/** What a guard wants to end a thread for. */
export type Breach = Extract<Reason, { kind: 'killed' }>

type OnBreach = (breach: Breach) => void

/** Looks at what a thread holds. V8's own limit cannot be left to it: for some shapes it aborts the whole process. */
export function guardMemory(thread: Pick<Thread, 'heap'>, limits: MemoryLimits, onBreach: OnBreach) {
  let latest: Heap | undefined
  let phase: 'on' | 'off' = 'on'
  let timer = arm(limits.poll)

  function arm(delay: number): NodeJS.Timeout {
    return setTimeout(() => void look(), Math.min(delay, longestTimer))
  }

  async function look(): Promise<void> {
    const heap = await thread.heap()
    latest = heap ?? latest
    if (phase === 'off') return
    const delay = heap ? nextLook(heap, limits) : limits.poll
    if (delay !== undefined) timer = arm(delay)
    else if (heap)
      onBreach({ kind: 'killed', exit: 'out_of_memory', detail: `it held ${words(heap)}, its limit is ${inMegabytes(limits.soft)}` })
  }

  return {
    /** As last seen. */
    heap: () => latest,
    stop(): void {
      phase = 'off'
      clearTimeout(timer)
    },
  }
}

/** Looks this many times in the time that a thread may be silent. */
const looks = 5

/** Notices when a thread's event loop is blocked: `for (;;)`, Atomics.wait, an endless regular expression. */
export function guardLoop(thread: Thread, hangAfter: number, onBreach: OnBreach) {
  const interval = Math.min(hangAfter / looks, longestTimer)
  let silent = 0
  let isHeard = true
  let last = performance.now()
  thread.utilization()

  function look(): void {
    const now = performance.now()
    silent = countSilence(silent, { isHeard, utilization: thread.utilization(), elapsed: now - last, interval })
    isHeard = false
    last = now
    // A rounding error must not cost one more look.
    if (silent < hangAfter - 1) return thread.post({ kind: 'ping', at: now })
    onBreach({ kind: 'killed', exit: 'hung', detail: `its event loop was blocked for ${Math.round(silent)} ms` })
  }
  const timer = setInterval(look, interval)

  return {
    /** Something came from the thread. */
    heard(): void {
      isHeard = true
    },
    stop: () => clearInterval(timer),
  }
}

function words(heap: Heap): string {
  return `${inMegabytes(heldBy(heap))} (${inMegabytes(heap.external)} of it outside the heap)`
}

function inMegabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`
}
