import type { Exit } from './exit.ts'
import type { ErrorData } from './frames.ts'
import type { Heap } from './guard.ts'

/** Why the host ends a thread. Without one it has ended by itself. */
export type Reason =
  /** It was asked to stop and has said that it has; an error is what its stop threw. */
  | { readonly kind: 'stopped'; readonly error?: ErrorData }
  /** It could not load its actor. */
  | { readonly kind: 'refused'; readonly error: ErrorData }
  | { readonly kind: 'killed'; readonly exit: Exit; readonly detail: string }

/** What is known of a thread that has ended; no code: it could not be ended, and is given up. */
export type Ended = { readonly code: number | undefined; readonly error: ErrorData | undefined }

/** A turn as a crash record has it; `running` is the one that the thread died in. */
export type TurnRecord = {
  readonly source: 'message' | 'job'
  readonly id: string
  readonly type: string
  readonly outcome: 'running' | 'done' | 'threw'
}

/** What there is to know of the end of an incarnation: what `troupe why` shows. Plain JSON. */
export type ExitRecord = {
  readonly team: string
  readonly id: string
  readonly version: string
  readonly incarnation: number
  readonly exit: Exit
  readonly detail: string
  readonly error?: ErrorData
  /** Its last turns, the latest at the end. */
  readonly turns: readonly TurnRecord[]
  /** As last seen. */
  readonly heap?: Heap
  /** Wall-clock ms. */
  readonly at: number
  /** Ms from its start. */
  readonly after: number
}

/** Says why an incarnation has ended, for programs and for people. */
export function nameEnd(ended: Ended, reason: Reason | undefined, wasReady: boolean): { exit: Exit; detail: string } {
  const { exit, detail } = reason ? byHost(reason) : byItself(ended, wasReady)
  return ended.code === undefined ? { exit, detail: `${detail}; its thread cannot be ended and is given up` } : { exit, detail }
}

function byHost(reason: Reason): { exit: Exit; detail: string } {
  switch (reason.kind) {
    case 'stopped':
      return { exit: 'shutdown', detail: reason.error ? `stopped, but its stop failed: ${reason.error.message}` : 'stopped' }
    case 'refused':
      return { exit: 'start_failed', detail: reason.error.message }
    case 'killed':
      return { exit: reason.exit, detail: reason.detail }
  }
}

function byItself({ code, error }: Ended, wasReady: boolean): { exit: Exit; detail: string } {
  if (error?.code === 'ERR_WORKER_OUT_OF_MEMORY') return { exit: 'out_of_memory', detail: "it reached V8's own memory limit" }
  const detail = error ? `${error.name}: ${error.message}` : `it called process.exit(${code})`
  if (!wasReady) return { exit: 'start_failed', detail }
  return { exit: error === undefined && code === 0 ? 'normal' : 'crash', detail }
}
