import { byName, pairs } from '../core/headers.ts'
import type { HttpResponse } from '../core/http.ts'
import { decoded, isEncoded } from './http-decode.ts'
import type { Inbox } from './http-inbox.ts'

/** A response of ctx.http. */
export type Answer = HttpResponse & {
  /** Ends the request, unless its answer is there to its end. */
  drop(): void
}

type AnswerOptions = {
  readonly inbox: Pick<Inbox, 'read' | 'collect' | 'drop'>
  readonly status: number
  readonly url: string
  /** Names and values in turn. */
  readonly headers: readonly string[]
  readonly encoding: string | undefined
}

export function createAnswer(options: AnswerOptions): Answer {
  return new HttpAnswer(options)
}

/** A class, because an object literal with getters is a shape of its own each time, which engines do not forget soon. */
class HttpAnswer implements Answer {
  readonly status: number
  readonly ok: boolean
  readonly url: string
  readonly #inbox: AnswerOptions['inbox']
  readonly #raw: readonly string[]
  readonly #encoding: string | undefined
  #isRead = false

  constructor({ inbox, status, url, headers, encoding }: AnswerOptions) {
    this.status = status
    this.ok = status >= 200 && status < 300
    this.url = url
    this.#inbox = inbox
    this.#raw = headers
    this.#encoding = encoding !== undefined && isEncoded(encoding) ? encoding : undefined
  }

  get headers(): Record<string, string> {
    return byName(this.#raw)
  }

  get rawHeaders(): (readonly [string, string])[] {
    return pairs(this.#raw)
  }

  get body(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => this.#read()[Symbol.asyncIterator]() }
  }

  async bytes(): Promise<Uint8Array> {
    if (this.#encoding === undefined) {
      this.#start()
      return this.#inbox.collect()
    }
    const parts: Uint8Array[] = []
    for await (const chunk of this.#read()) parts.push(chunk)
    return Buffer.concat(parts)
  }

  async text(): Promise<string> {
    const { buffer, byteOffset, byteLength } = await this.bytes()
    return Buffer.from(buffer, byteOffset, byteLength).toString('utf8')
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text())
  }

  drop(): void {
    this.#inbox.drop()
  }

  #start(): void {
    if (this.#isRead) throw new TypeError('The body has been read already')
    this.#isRead = true
  }

  #read(): AsyncIterable<Uint8Array> {
    this.#start()
    return this.#encoding === undefined ? this.#inbox.read() : decoded(this.#inbox.read(), this.#encoding)
  }
}
