import type { MessagePort } from 'node:worker_threads'
import {
  type Bytes,
  eachFrame,
  type HttpFailure,
  httpLimits,
  packHeaders,
  type RequestLimits,
  sizesOf,
  toActor,
  toHost,
  unpackHeaders,
} from '../core/http-wire.ts'
import type { Body } from './http-body.ts'
import { fromFailure } from './http-error.ts'
import { createSender } from './http-sender.ts'

/** A request as the pool takes it. */
export type HttpRequest = {
  readonly method: string
  readonly origin: string
  /** With its query. */
  readonly path: string
  /** Names and values in turn. */
  readonly headers: readonly string[]
  readonly body: Body
  readonly limits?: RequestLimits | undefined
}

/** Who gets the answer; after onEnd or onError nothing more comes. */
export type HttpSink = {
  onHead(status: number, statusText: string, headers: string[]): void
  onData(chunk: Buffer): void
  onEnd(trailers: string[]): void
  onError(error: unknown): void
}

/** A request under way. */
export type Exchange = {
  /** Tells the server too; the sink gets the reason. */
  abort(reason: unknown): void
  /** Holds back what comes from now on, and with it the server. */
  pause(): void
  resume(): void
}

/** The actor's end of the pool. */
export type HttpLink = { open(request: HttpRequest, sink: HttpSink): Exchange }

type Item = { readonly data: Bytes } | { readonly trailers: string }

const sizes = sizesOf(toActor)

/** Makes the actor's end of the pool over its port. */
export function createHttpLink(port: MessagePort): HttpLink {
  const exchanges = new Map<number, ReturnType<typeof createExchange>>()
  const sender = createSender((frames, transfer) => port.postMessage(frames, transfer))
  let last = 0

  port.on('message', (frames: readonly unknown[]) => {
    eachFrame(frames, sizes, (op, id, at) => {
      const exchange = exchanges.get(id)
      if (!exchange) return // aborted
      const first = frames[at + 2]
      if (op === toActor.head.op) exchange.head(first as number, frames[at + 3] as string, frames[at + 4] as string)
      else if (op === toActor.data.op) exchange.take({ data: first as Bytes })
      else if (op === toActor.end.op) exchange.take({ trailers: first as string })
      else if (op === toActor.fail.op) exchange.fail(fromFailure(first as HttpFailure))
      else exchange.more()
    })
  })
  // The thread lives for its host's frames; a request that nobody waits for keeps nothing alive.
  port.unref()

  return {
    open(request, sink) {
      last += 1
      const id = last
      const exchange = createExchange(id, request, sink, sender, () => exchanges.delete(id))
      exchanges.set(id, exchange)
      return exchange
    },
  }
}

function createExchange(id: number, request: HttpRequest, sink: HttpSink, sender: ReturnType<typeof createSender>, onOver: () => void) {
  const { method, origin, path, headers, body, limits = null } = request
  const held: Item[] = []
  let isPaused = false
  let isOver = false
  /** Bytes that were taken and are not confirmed yet. */
  let taken = 0
  let credit: number = httpLimits.chunks
  let onCredit = (): void => {}

  function over(): boolean {
    if (isOver) return false
    isOver = true
    held.length = 0
    onCredit()
    onOver()
    return true
  }

  function fail(error: unknown): void {
    if (over()) sink.onError(error)
  }

  function abort(reason: unknown): void {
    if (isOver) return
    sender.send([toHost.abort.op, id])
    fail(reason)
  }

  function deliver(item: Item): void {
    if ('trailers' in item) {
      if (over()) sink.onEnd(unpackHeaders(item.trailers))
      return
    }
    const { data } = item
    const chunk = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    taken += chunk.length
    if (taken >= httpLimits.ack) {
      sender.send([toHost.ack.op, id, taken])
      taken = 0
    }
    sink.onData(chunk)
  }

  function take(item: Item): void {
    if (isPaused || held.length > 0) held.push(item)
    else deliver(item)
  }

  async function upload(chunks: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const chunk of chunks) {
        for (const piece of pieces(chunk)) {
          if (credit === 0) await new Promise<void>((resolve) => (onCredit = resolve))
          if (isOver) return
          credit -= 1
          sender.bytes([toHost.data.op, id], piece)
        }
      }
      if (!isOver) sender.send([toHost.end.op, id])
    } catch (error) {
      abort(error)
    }
  }

  const isStream = body !== null && !(body instanceof Uint8Array)
  const head = [toHost.open.op, id, method, origin, path, packHeaders(headers)]
  if (body instanceof Uint8Array) sender.bytes(head, body, limits)
  else sender.send([...head, isStream ? true : null, limits])
  if (isStream) void upload(body)

  return {
    head(status: number, text: string, raw: string): void {
      sink.onHead(status, text, unpackHeaders(raw))
    },
    take,
    fail,
    more(): void {
      credit += 1
      onCredit()
    },
    abort,
    pause(): void {
      isPaused = true
    },
    resume(): void {
      if (!isPaused) return
      isPaused = false
      while (!isPaused && held.length > 0) deliver(held.shift() as Item)
    },
  }
}

function* pieces(chunk: unknown): Generator<Uint8Array> {
  const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
  if (!(bytes instanceof Uint8Array)) throw new TypeError('A chunk of the body is neither bytes nor a string')
  for (let at = 0; at < bytes.length; at += httpLimits.chunk) yield bytes.subarray(at, at + httpLimits.chunk)
}
