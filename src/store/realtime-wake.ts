import type { WakeReason } from './realtime-state.ts'

/** Time and timers, so that tests can have their own. */
export interface Clock {
  now(): number
  /** Calls back once, unless the function that it returns is called first. */
  after(ms: number, callback: () => void): () => void
}

/** Looks at the table. */
export type OnWake = (reason: WakeReason) => Promise<void> | void

interface WakerOptions {
  readonly onWake: OnWake
  /** A wake-up that takes longer holds back the next no more: one call that hangs must not end the polling. */
  readonly limit: number
  readonly clock: Clock
  readonly onFailed: (reason: WakeReason, error: unknown) => void
}

interface Waker {
  wake(reason: WakeReason): void
  /** Forgets what waits; a wake-up under way is the caller's to finish. */
  stop(): void
}

type WakerState = { kind: 'idle' } | { kind: 'waking'; done: Promise<void>; next: WakeReason | undefined; leave: AbortController }

/** Runs one wake-up at a time; however many are asked for meanwhile, one further follows. */
export function createWaker({ onWake, limit, clock, onFailed }: WakerOptions): Waker {
  let state: WakerState = { kind: 'idle' }

  function begin(reason: WakeReason): void {
    const leave = new AbortController()
    state = { kind: 'waking', done: run(reason, leave.signal), next: undefined, leave }
  }

  async function run(reason: WakeReason, left: AbortSignal): Promise<void> {
    // Not at once: the caller is in the middle of a decision, and a wake-up may stop the hint.
    await undefined
    if (left.aborted) return
    try {
      await within(Promise.try(onWake, reason), left)
    } catch (error) {
      onFailed(reason, error)
    }
    if (left.aborted || state.kind === 'idle') return
    const { next } = state
    state = { kind: 'idle' }
    if (next !== undefined) begin(next)
  }

  function within(work: Promise<void>, left: AbortSignal): Promise<void> {
    const { promise: over, resolve, reject } = Promise.withResolvers<void>()
    const cancel = clock.after(limit, () => reject(new Error(`the wake-up took longer than ${limit} ms`)))
    left.addEventListener('abort', () => resolve(), { once: true })
    return Promise.race([work, over]).finally(cancel)
  }

  return {
    wake(reason) {
      if (state.kind === 'idle') return begin(reason)
      // The first of the reasons that wait is kept: it says why the table is looked at again.
      state = { ...state, next: state.next ?? reason }
    },
    stop() {
      if (state.kind === 'waking') state.leave.abort()
      state = { kind: 'idle' }
    },
  }
}
