import type { ActorError } from '../core/errors.ts'

/** A signal that costs nothing until somebody looks at it. */
export type Abort = {
  readonly signal: AbortSignal
  readonly reason: ActorError | undefined
  abort(reason: ActorError): void
}

/** Makes the signal of one turn. */
export function createAbort(): Abort {
  return new LazyAbort()
}

class LazyAbort implements Abort {
  #controller: AbortController | undefined
  #reason: ActorError | undefined

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  get reason(): ActorError | undefined {
    return this.#reason
  }

  abort(reason: ActorError): void {
    this.#reason ??= reason
    this.#controller?.abort(this.#reason)
  }
}
