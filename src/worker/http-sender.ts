import { type Bytes, httpLimits } from '../core/http-wire.ts'

type Post = (frames: readonly unknown[], transfer: readonly ArrayBuffer[]) => void

export type Sender = {
  send(items: readonly unknown[]): void
  /** Sends the items before the bytes, the bytes, and those behind them. The bytes are copied: they may be part of a larger buffer. */
  bytes(before: readonly unknown[], bytes: Uint8Array, ...behind: readonly unknown[]): void
  /** Calls `release` before this round's frames leave. */
  hold(holder: { release(): void }): void
}

/**
 * Sends frames of the pool's port, those of one round of the event loop together: what several sockets bring at a time then wakes the
 * other thread once.
 */
export function createSender(post: Post): Sender {
  let frames: unknown[] = []
  let transfer: ArrayBuffer[] = []
  let holders: { release(): void }[] = []
  let isDue = false

  function flush(): void {
    for (const holder of holders) holder.release()
    const [batch, moved] = [frames, transfer]
    isDue = false
    holders = []
    frames = []
    transfer = []
    if (batch.length > 0) post(batch, moved)
  }

  function due(): void {
    if (isDue) return
    isDue = true
    setImmediate(flush)
  }

  function send(items: readonly unknown[]): void {
    due()
    frames.push(...items)
  }

  return {
    send,
    bytes(before, bytes, ...behind): void {
      send([...before, pack(bytes), ...behind])
    },
    hold(holder) {
      due()
      holders.push(holder)
    },
  }

  function pack(bytes: Uint8Array): Bytes {
    const { length } = bytes
    if (length <= httpLimits.short) return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1')
    const copy = Buffer.allocUnsafeSlow(length)
    copy.set(bytes)
    transfer.push(copy.buffer as ArrayBuffer)
    return copy
  }
}
