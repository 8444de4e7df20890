import type { Bytes } from '../core/http-wire.ts'
import { httpLimits, packHeaders, type RawHeaders, type RequestLimits, toActor } from '../core/http-wire.ts'
import type { Sender } from '../worker/http-sender.ts'
import { toFailure } from './http-failure.ts'
import { withSecrets } from './http-policy.ts'
import { retryIn, type Tried } from './http-retry.ts'
import type { Traffic } from './http-traffic.ts'
import { createUpload } from './http-upload.ts'

/** What undici lets a handler do with its request. */
export type Controller = {
  readonly rawHeaders?: Buffer[] | string[] | null
  readonly rawTrailers?: Buffer[] | string[] | null
  abort(reason: Error): void
  pause(): void
  resume(): void
}

/** A handler as undici's dispatch wants it. */
export type DispatchHandler = {
  onRequestStart(controller: Controller): void
  onResponseStart(controller: Controller, status: number, headers: Record<string, string | string[] | undefined>, statusText?: string): void
  onResponseData(controller: Controller, chunk: Buffer): void
  onResponseEnd(controller: Controller): void
  onResponseError(controller: Controller, error: Error): void
}

export type DispatchOptions = {
  readonly origin: string
  readonly path: string
  readonly method: string
  readonly headers: RawHeaders
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | null
} & RequestLimits

export type Dispatch = (options: DispatchOptions, handler: DispatchHandler) => void

/** A request as it came from the actor. */
export type Asked = {
  readonly id: number
  readonly method: string
  readonly origin: string
  readonly path: string
  readonly headers: RawHeaders
  readonly body: Bytes | true | null
  readonly limits: RequestLimits | null
}

export type How = 'done' | 'failed' | 'aborted'

/** What holds for all requests of an agent to one origin. */
export type Route = {
  /** As URLs write it. */
  readonly origin: string
  readonly isAllowed: boolean
  readonly secrets: Readonly<Record<string, string>> | undefined
  readonly retries: number
  readonly counts: Traffic
}

/** What the requests of one port share. */
export type Exchanging = {
  readonly sender: Sender
  readonly dispatch: Dispatch
  readonly onOver: (exchange: HostExchange, how: How) => void
}

/** Bytes of an answer that is not handed on which are read, so that its connection can be used again. */
const readable = 2 ** 16

/** The beginning of an answer, which waits for the rest of this round of the event loop: a short answer is one frame. */
type Held = { readonly status: number; readonly text: string; readonly headers: string; body: string }

/**
 * One request of an actor on the host: it is sent, perhaps again, and its answer goes to the actor as fast as that takes it. It is its
 * own handler of undici's; tries follow each other and never overlap.
 */
export class HostExchange implements DispatchHandler {
  readonly id: number
  readonly route: Route
  readonly began = performance.now()
  readonly #asked: Asked
  readonly #shared: Exchanging
  readonly #inline: Uint8Array | null | undefined
  readonly #upload: ReturnType<typeof createUpload> | undefined
  #phase: 'waiting' | 'running' | 'over' = 'waiting'
  #controller: Controller | undefined
  #timer: NodeJS.Timeout | undefined
  #tries = 0
  /** Of this try: ms until the next one, bytes that nobody gets, and whether the actor has its head. */
  #next: number | undefined
  #skipped = 0
  #hasHead = false
  #held: Held | undefined
  #unconfirmed = 0
  #isPaused = false

  constructor(asked: Asked, route: Route, shared: Exchanging) {
    const { id, body } = asked
    this.id = id
    this.route = route
    this.#asked = asked
    this.#shared = shared
    this.#inline = typeof body === 'string' ? Buffer.from(body, 'latin1') : body === true ? undefined : body
    if (body === true) this.#upload = createUpload(() => shared.sender.send([toActor.more.op, id]))
  }

  get hasBegun(): boolean {
    return this.#tries > 0
  }

  begin(): void {
    if (this.#phase === 'over') return
    const { path, method, limits } = this.#asked
    const { origin, secrets, counts } = this.route
    const headers = withSecrets(this.#asked.headers, secrets)
    this.#phase = 'running'
    this.#tries += 1
    this.#next = undefined
    this.#skipped = 0
    this.#hasHead = false
    counts.sent += this.#inline?.length ?? 0
    try {
      this.#shared.dispatch({ origin, path, method, headers, body: this.#inline ?? this.#upload?.body ?? null, ...limits }, this)
    } catch (error) {
      this.fail(error)
    }
  }

  fail(error: unknown): void {
    if (this.#phase === 'over') return
    this.release()
    this.#shared.sender.send([toActor.fail.op, this.id, toFailure(error)])
    this.#end('failed')
  }

  abort(): void {
    if (this.#phase === 'over') return
    const wasRunning = this.#phase === 'running'
    this.#held = undefined
    this.#end('aborted')
    if (wasRunning) this.#controller?.abort(gone())
  }

  /** A part of the request's body. */
  data(bytes: Bytes): void {
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    this.route.counts.sent += chunk.length
    if (this.#upload?.push(chunk) !== false) return
    this.fail(new Error('More of the body came than there was room for'))
    // Its body has ended by that: the server must not take what came for all of it.
    this.#controller?.abort(gone())
  }

  /** The request's body has ended. */
  end(): void {
    this.#upload?.end()
  }

  ack(bytes: number): void {
    this.#unconfirmed -= bytes
    if (!this.#isPaused || this.#unconfirmed > httpLimits.window / 2) return
    this.#isPaused = false
    this.#controller?.resume()
  }

  /** Lets go what was held back. */
  release(): void {
    const held = this.#held
    if (held === undefined) return
    this.#held = undefined
    const { sender } = this.#shared
    sender.send([toActor.head.op, this.id, held.status, held.text, held.headers])
    if (held.body !== '') sender.send([toActor.data.op, this.id, held.body])
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    if (this.#phase === 'over') controller.abort(gone())
  }

  onResponseStart(controller: Controller, status: number, byName: Record<string, string | string[] | undefined>, text = ''): void {
    if (status < 200 || this.#phase === 'over') return
    this.#next = this.#delayAfter({ status, retryAfter: [byName['retry-after']].flat()[0] })
    if (this.#next !== undefined) return
    this.#hasHead = true
    this.#held = { status, text, headers: packRaw(controller.rawHeaders), body: '' }
    this.#shared.sender.hold(this)
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#phase === 'over') return
    if (this.#next === undefined) return this.#handOn(controller, chunk)
    this.#skipped += chunk.length
    if (this.#skipped > readable) controller.abort(gone())
  }

  onResponseEnd(controller: Controller): void {
    if (this.#phase === 'over') return
    if (this.#next !== undefined) return this.#again(this.#next)
    const { sender } = this.#shared
    const held = this.#held
    const trailers = packRaw(controller.rawTrailers)
    if (held !== undefined && trailers === '') {
      this.#held = undefined
      sender.send([toActor.whole.op, this.id, held.status, held.text, held.headers, held.body])
    } else {
      this.release()
      sender.send([toActor.end.op, this.id, trailers])
    }
    this.#end('done')
  }

  onResponseError(_: Controller, error: Error): void {
    if (this.#phase === 'over') return
    this.#next ??= this.#hasHead ? undefined : this.#delayAfter({ code: codeOf(error) })
    if (this.#next === undefined) this.fail(error)
    else this.#again(this.#next)
  }

  #handOn(controller: Controller, chunk: Buffer): void {
    const { sender } = this.#shared
    this.route.counts.received += chunk.length
    this.#unconfirmed += chunk.length
    if (this.#held !== undefined && this.#held.body.length + chunk.length <= httpLimits.short) {
      this.#held.body += chunk.toString('latin1')
      return
    }
    this.release()
    for (let at = 0; at < chunk.length; at += httpLimits.chunk)
      sender.bytes([toActor.data.op, this.id], chunk.subarray(at, at + httpLimits.chunk))
    if (this.#unconfirmed <= httpLimits.window || this.#isPaused) return
    this.#isPaused = true
    controller.pause()
  }

  /** Ms until the request is sent again; undefined when it is not. */
  #delayAfter(tried: Tried): number | undefined {
    if (this.#upload) return undefined
    return retryIn(tried, {
      method: this.#asked.method,
      tries: this.#tries,
      retries: this.route.retries,
      random: Math.random(),
      now: Date.now(),
    })
  }

  #again(ms: number): void {
    this.route.counts.retried += 1
    this.#timer = setTimeout(() => this.begin(), ms)
  }

  #end(how: How): void {
    this.#phase = 'over'
    clearTimeout(this.#timer)
    this.#upload?.end()
    this.#shared.onOver(this, how)
  }
}

function packRaw(raw: readonly (Buffer | string)[] | null | undefined): string {
  if (!raw || raw.length === 0) return ''
  return packHeaders(raw.map((one) => (typeof one === 'string' ? one : one.toString('latin1'))))
}

function gone(): Error {
  return new Error('Nobody waits for the answer any more')
}

function codeOf(error: Error & { readonly code?: unknown }): string | undefined {
  return typeof error.code === 'string' ? error.code : undefined
}
