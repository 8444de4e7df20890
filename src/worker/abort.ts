import type { ActorError } from '../core/errors.ts'

/** A signal that costs nothing until somebody looks at it. */
export type Abort = {
  readonly signal: AbortSignal
  readonly reason: ActorError | undefined
  abort(reason: ActorError): void
}

/** Makes the signal of one turn. */
export function createAbort(): Abort {
  let controller: AbortController | undefined
  let reason: ActorError | undefined
  return {
    get signal() {
      controller ??= new AbortController()
      if (reason) controller.abort(reason)
      return controller.signal
    },
    get reason() {
      return reason
    },
    abort(given) {
      reason ??= given
      controller?.abort(reason)
    },
  }
}
