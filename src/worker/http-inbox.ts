import type { HttpResponse } from '../core/http.ts'
import type { Exchange, HttpSink } from './http.ts'
import { decoded, isEncoded } from './http-decode.ts'

/** Chunks that wait for their reader before the server is told to wait. */
const mostHeld = 16

type Received = HttpResponse & {
  /** Reads what nobody wants, so that the connection may be used again. */
  dump(): Promise<unknown>
}

export type InboxOptions = { readonly method: string; readonly url: string; readonly onOver: () => void }

/** Receives one answer: its head as a response, its body for whoever reads it. */
export function createInbox({ method, url, onOver }: InboxOptions) {
  const head = Promise.withResolvers<Received>()
  const chunks: Uint8Array[] = []
  let exchange: Exchange | undefined
  let end: { readonly error?: unknown } | undefined
  let isCollected = false
  let wake: (() => void) | undefined

  function finish(how: { readonly error?: unknown }): void {
    end = how
    onOver()
    wake?.()
  }

  const sink: HttpSink = {
    onHead(status, _text, headers) {
      if (status >= 200) head.resolve(createResponse(status, headers))
    },
    onData(chunk) {
      chunks.push(chunk)
      // Whoever wants all of it waits for its end.
      if (isCollected) return
      if (chunks.length >= mostHeld) exchange?.pause()
      wake?.()
    },
    onEnd: () => finish({}),
    onError(error) {
      head.reject(error)
      finish({ error })
    },
  }

  function more(): Promise<void> | undefined {
    exchange?.resume()
    // What was held back has come by that.
    if (end || (chunks.length > 0 && !isCollected)) return undefined
    return new Promise<void>((resolve) => {
      wake = resolve
    })
  }

  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = chunks.shift()
        if (chunk) yield chunk
        else if (end) break
        else await more()
      }
      if (end && 'error' in end) throw end.error
    } finally {
      // Whoever leaves early wants no more of it.
      if (!end) exchange?.abort(new Error('The body was not read to its end'))
    }
  }

  async function collect(): Promise<Uint8Array> {
    isCollected = true
    if (!end) await more()
    if (end && 'error' in end) throw end.error
    const parts = chunks.splice(0)
    return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
  }

  function createResponse(status: number, raw: readonly string[]): Received {
    const encoding = method === 'HEAD' || status === 204 || status === 304 ? undefined : headerIn(raw, 'content-encoding')
    let isRead = false
    const start = () => {
      if (isRead) throw new TypeError('The body has been read already')
      isRead = true
    }
    const body = () => {
      start()
      return encoding !== undefined && isEncoded(encoding) ? decoded(read(), encoding) : read()
    }
    const bytes = async (): Promise<Uint8Array> => {
      if (encoding === undefined || !isEncoded(encoding)) {
        start()
        return collect()
      }
      const parts: Uint8Array[] = []
      for await (const chunk of body()) parts.push(chunk)
      return Buffer.concat(parts)
    }
    const text = async () => textOf(await bytes())
    return {
      status,
      ok: status >= 200 && status < 300,
      url,
      get headers() {
        return byName(raw)
      },
      get rawHeaders() {
        return pairs(raw)
      },
      body: { [Symbol.asyncIterator]: () => body()[Symbol.asyncIterator]() },
      bytes,
      text,
      json: async () => JSON.parse(await text()),
      dump: () => collect(),
    }
  }

  return {
    sink,
    response: head.promise,
    attach(to: Exchange): void {
      exchange = to
    },
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** The value of the first header of that name, which is in lower case. */
export function headerIn(headers: readonly string[], name: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    const given = headers[at] as string
    if (given.length === name.length && given.toLowerCase() === name) return headers[at + 1]
  }
  return undefined
}

function byName(headers: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [given, value] of pairs(headers)) {
    const name = given.toLowerCase()
    found[name] = Object.hasOwn(found, name) ? `${found[name]}, ${value}` : value
  }
  return found
}

function pairs(headers: readonly string[]): (readonly [string, string])[] {
  return headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1] ?? ''] as const] : []))
}
