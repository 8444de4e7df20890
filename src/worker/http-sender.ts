import { type Bytes, httpLimits } from '../core/http-wire.ts'

type Post = (frames: readonly unknown[], transfer: readonly ArrayBuffer[]) => void

/**
 * Sends frames of the pool's port, those of one round of the event loop together: what several sockets bring at a time then wakes the
 * other thread once.
 */
export function createSender(post: Post) {
  let frames: unknown[] = []
  let transfer: ArrayBuffer[] = []

  function flush(): void {
    const batch = frames
    const moved = transfer
    frames = []
    transfer = []
    post(batch, moved)
  }

  function send(items: readonly unknown[]): void {
    if (frames.length === 0) setImmediate(flush)
    frames.push(...items)
  }

  return {
    send,
    /** Sends the items before the bytes, the bytes, and those behind them. The bytes are copied: they may be part of a larger buffer. */
    bytes(before: readonly unknown[], bytes: Uint8Array, ...behind: readonly unknown[]): void {
      send([...before, pack(bytes), ...behind])
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
