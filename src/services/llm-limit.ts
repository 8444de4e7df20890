import type { Clock } from '../host/clock.ts'

/** The signal of a call that has so many ms, and ends with another signal too; it is to be disposed. `deadline` is by the clock. */
export function limitedBy(timeout: number, outer: AbortSignal, clock: Clock, reasonOf: () => Error) {
  const controller = new AbortController()
  const follow = () => controller.abort(outer.reason)
  const cancel = clock.after(timeout, () => controller.abort(reasonOf()))
  if (outer.aborted) follow()
  outer.addEventListener('abort', follow, { once: true })
  return {
    signal: controller.signal,
    deadline: clock.now() + timeout,
    [Symbol.dispose](): void {
      cancel()
      outer.removeEventListener('abort', follow)
    },
  }
}
