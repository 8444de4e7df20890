import type { MessagePort } from 'node:worker_threads'
import { createHeaderReader, createHeaderWriter } from '../core/headers.ts'
import {
  type Bytes,
  eachFrame,
  type HttpFailure,
  httpLimits,
  type RawHeaders,
  type RequestLimits,
  sizesOf,
  toActor,
  toHost,
  unpackHeaders,
} from '../core/http-wire.ts'
import { createSlots } from '../core/slots.ts'
import type { Body } from './http-body.ts'
import { fromFailure } from './http-error.ts'
import { createSender, type Sender } from './http-sender.ts'

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
  onHead(status: number, statusText: string, headers: RawHeaders): void
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
export type HttpLink = {
  /** Throws a TypeError for a header that cannot be sent. */
  open(request: HttpRequest, sink: HttpSink): Exchange
}

/** A chunk, or the trailers of the end. */
type Item = { readonly data: Bytes } | { readonly trailers: string }

const sizes = sizesOf(toActor)

/** Makes the actor's end of the pool over its port. */
export function createHttpLink(port: MessagePort): HttpLink {
  const exchanges = createSlots<WorkerExchange>()
  const sender = createSender((frames, transfer) => port.postMessage(frames, transfer))
  const write = createHeaderWriter()
  const shared = { sender, read: createHeaderReader(), onOver: (id: number) => exchanges.delete(id) }

  port.on('message', (frames: readonly unknown[]) => {
    eachFrame(frames, sizes, (op, id, at) => exchanges.get(id)?.receive(op, frames, at)) // undefined: aborted
  })
  // The thread lives for its host's frames; a request that nobody waits for keeps nothing alive.
  port.unref()

  return {
    open(request, sink) {
      // What cannot be written takes no number.
      const headers = write(request.headers)
      const exchange = new WorkerExchange(sink, shared)
      exchange.begin(exchanges.put(exchange), request, headers)
      return exchange
    },
  }
}

/** What the requests of a thread share. */
type Exchanging = {
  readonly sender: Sender
  readonly read: (text: string) => RawHeaders
  readonly onOver: (id: number) => void
}

class WorkerExchange implements Exchange {
  readonly #sink: HttpSink
  readonly #shared: Exchanging
  #id = 0
  #held: Item[] | undefined
  #isPaused = false
  #isOver = false
  /** Bytes that were taken and are not confirmed yet. */
  #taken = 0
  #credit: number = httpLimits.chunks
  #onCredit: (() => void) | undefined

  constructor(sink: HttpSink, shared: Exchanging) {
    this.#sink = sink
    this.#shared = shared
  }

  /** Sends the request under its number. */
  begin(id: number, { method, origin, path, body, limits }: HttpRequest, headers: string): void {
    this.#id = id
    const head = [toHost.open.op, id, method, origin, path, headers]
    if (body instanceof Uint8Array) return this.#shared.sender.bytes(head, body, limits ?? null)
    this.#shared.sender.send([...head, body === null ? null : true, limits ?? null])
    if (body !== null) void this.#upload(body)
  }

  /** Takes a frame of the host's. */
  receive(op: number, frames: readonly unknown[], at: number): void {
    const first = frames[at + 2]
    if (op === toActor.whole.op) {
      this.#head(first as number, frames[at + 3] as string, frames[at + 4] as string)
      if (frames[at + 5] !== '') this.#take({ data: frames[at + 5] as string })
      this.#take({ trailers: '' })
    } else if (op === toActor.head.op) this.#head(first as number, frames[at + 3] as string, frames[at + 4] as string)
    else if (op === toActor.data.op) this.#take({ data: first as Bytes })
    else if (op === toActor.end.op) this.#take({ trailers: first as string })
    else if (op === toActor.fail.op) this.#fail(fromFailure(first as HttpFailure))
    else this.#more()
  }

  abort(reason: unknown): void {
    if (this.#isOver) return
    this.#shared.sender.send([toHost.abort.op, this.#id])
    this.#fail(reason)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    for (let item = this.#next(); item; item = this.#next()) this.#deliver(item)
  }

  #next(): Item | undefined {
    return this.#isPaused ? undefined : this.#held?.shift()
  }

  #head(status: number, text: string, raw: string): void {
    this.#sink.onHead(status, text, this.#shared.read(raw))
  }

  #take(item: Item): void {
    if (this.#isPaused || (this.#held && this.#held.length > 0)) {
      this.#held ??= []
      this.#held.push(item)
    } else this.#deliver(item)
  }

  #deliver(item: Item): void {
    if ('trailers' in item) {
      if (this.#over()) this.#sink.onEnd(unpackHeaders(item.trailers))
      return
    }
    if (this.#isOver) return
    const { data } = item
    const chunk = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    this.#taken += chunk.length
    if (this.#taken >= httpLimits.ack) {
      this.#shared.sender.send([toHost.ack.op, this.#id, this.#taken])
      this.#taken = 0
    }
    this.#sink.onData(chunk)
  }

  #fail(error: unknown): void {
    if (this.#over()) this.#sink.onError(error)
  }

  #over(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#held = undefined
    this.#onCredit?.()
    this.#shared.onOver(this.#id)
    return true
  }

  #more(): void {
    this.#credit += 1
    this.#onCredit?.()
  }

  async #upload(chunks: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const chunk of chunks) {
        for (const piece of pieces(chunk)) {
          // What is over wakes nobody any more.
          if (this.#credit === 0 && !this.#isOver) await this.#room()
          if (this.#isOver) return
          this.#credit -= 1
          this.#shared.sender.bytes([toHost.data.op, this.#id], piece)
        }
      }
      if (!this.#isOver) this.#shared.sender.send([toHost.end.op, this.#id])
    } catch (error) {
      this.abort(error)
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#onCredit = resolve
    })
  }
}

function* pieces(chunk: unknown): Generator<Uint8Array> {
  const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
  if (!(bytes instanceof Uint8Array)) throw new TypeError('A chunk of the body is neither bytes nor a string')
  for (let at = 0; at < bytes.length; at += httpLimits.chunk) yield bytes.subarray(at, at + httpLimits.chunk)
}
