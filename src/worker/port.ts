import type { Transferable } from 'node:worker_threads'
import type { ThreadFrame } from '../core/frames.ts'

/** The way to the host: frames and log lines of one stretch of synchronous code leave together. */
export type Port = {
  send(frame: ThreadFrame): void
  /** Sends a frame by itself, of which parts are moved. Throws what cannot be cloned. */
  move(frame: ThreadFrame, transfer: readonly Transferable[]): void
  /** Takes one line of NDJSON, without its end. */
  log(line: string): void
  /** Sends what is held back and from then on everything at once: no microtask runs any more when a thread exits. */
  close(): void
}

/** Characters of log that do not wait for the stretch's end: a loop that logs must not fill the memory. */
const logLimit = 2 ** 16

/** Makes the port over a function that posts an array of frames. */
export function createPort(post: (frames: readonly ThreadFrame[], transfer?: readonly Transferable[]) => void): Port {
  let frames: ThreadFrame[] = []
  let lines = ''
  let mode: 'idle' | 'scheduled' | 'closed' = 'idle'

  function flush(): void {
    if (lines !== '') frames.unshift({ kind: 'log', lines })
    const batch = frames
    frames = []
    lines = ''
    if (mode === 'scheduled') mode = 'idle'
    if (batch.length > 0) post(batch)
  }

  function schedule(): void {
    if (mode === 'closed') return flush()
    if (mode === 'scheduled') return
    mode = 'scheduled'
    queueMicrotask(flush)
  }

  return {
    send(frame) {
      frames.push(frame)
      schedule()
    },
    move(frame, transfer) {
      flush()
      post([frame], transfer)
    },
    log(line) {
      lines += `${line}\n`
      if (lines.length > logLimit) flush()
      else schedule()
    },
    close() {
      mode = 'closed'
      flush()
    },
  }
}
