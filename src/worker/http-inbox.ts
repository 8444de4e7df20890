import { headerIn } from '../core/headers.ts'
import type { RawHeaders } from '../core/http-wire.ts'
import type { Exchange, HttpSink } from './http.ts'
import { type Answer, createAnswer } from './http-answer.ts'

/** Chunks that wait for their reader before the server is told to wait. */
const mostHeld = 16

/** Receives one answer: its head as a response, its body for whoever reads it. */
export class Inbox implements HttpSink {
  readonly #head = Promise.withResolvers<Answer>()
  readonly #method: string
  readonly #url: string
  readonly #onOver: () => void
  #chunks: Uint8Array[] = []
  #exchange: Exchange | undefined
  #end: { readonly error?: unknown } | undefined
  #isCollected = false
  #hasHead = false
  #isLeft = false
  #wake: (() => void) | undefined

  constructor(method: string, url: string, onOver: () => void) {
    this.#method = method
    this.#url = url
    this.#onOver = onOver
  }

  get response(): Promise<Answer> {
    return this.#head.promise
  }

  attach(exchange: Exchange): void {
    this.#exchange = exchange
  }

  get isOver(): boolean {
    return this.#end !== undefined
  }

  abort(reason: unknown): void {
    if (this.#exchange) this.#exchange.abort(reason)
    else this.onError(reason)
  }

  /**
   * Aborts it for the server and for whoever reads it later. Whoever waits now waits for ever: nobody may listen any more, and an error
   * that nobody hears ends the thread. Gives whether somebody waits.
   */
  leave(reason: unknown): boolean {
    this.#isLeft = true
    this.abort(reason)
    return !this.#hasHead || this.#wake !== undefined
  }

  onHead(status: number, _text: string, headers: RawHeaders): void {
    if (status < 200) return
    const hasNoBody = this.#method === 'HEAD' || status === 204 || status === 304
    const encoding = hasNoBody ? undefined : headerIn(headers, 'content-encoding')
    this.#hasHead = true
    this.#head.resolve(createAnswer({ inbox: this, status, url: this.#url, headers, encoding }))
  }

  onData(chunk: Buffer): void {
    this.#chunks.push(chunk)
    // Whoever wants all of it waits for its end.
    if (this.#isCollected) return
    if (this.#chunks.length >= mostHeld) this.#exchange?.pause()
    this.#stir()
  }

  onEnd(): void {
    this.#finish({})
  }

  onError(error: unknown): void {
    if (this.isOver) return // the exchange says it once, but it is not all that may fail
    if (!this.#isLeft) this.#head.reject(error)
    this.#finish({ error })
  }

  async *read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift()
        if (chunk) yield chunk
        else if (this.#end) break
        else await this.#more()
      }
      if (this.#end && 'error' in this.#end) throw this.#end.error
    } finally {
      // Whoever leaves early wants no more of it.
      if (!this.#end) this.#exchange?.abort(new Error('The body was not read to its end'))
    }
  }

  async collect(): Promise<Uint8Array> {
    this.#isCollected = true
    if (!this.#end) await this.#more()
    if (this.#end && 'error' in this.#end) throw this.#end.error
    const parts = this.#chunks
    this.#chunks = []
    return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
  }

  /** Nobody will read it. */
  drop(): void {
    if (!this.#end) this.#exchange?.abort(new Error('Nobody wants the body'))
  }

  #more(): Promise<void> | undefined {
    this.#exchange?.resume()
    // What was held back has come by that.
    if (this.#end || (this.#chunks.length > 0 && !this.#isCollected)) return undefined
    return new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  #finish(how: { readonly error?: unknown }): void {
    this.#end = how
    this.#onOver()
    if (!this.#isLeft) this.#stir()
  }

  #stir(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
