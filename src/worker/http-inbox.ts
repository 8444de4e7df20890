import type { HttpResponse } from '../core/http.ts'
import type { Exchange, HttpSink } from './http.ts'
import { decoded } from './http-decode.ts'

/** Chunks that wait for their reader before the server is told to wait. */
const mostHeld = 16

type Received = HttpResponse & {
  /** Reads what nobody wants, so that the connection may be used again. */
  dump(): Promise<void>
}

/** Receives one answer: its head as a response, its body for whoever reads it. */
export function createInbox({ method, url }: { readonly method: string; readonly url: string }) {
  const head = Promise.withResolvers<Received>()
  const over = Promise.withResolvers<void>()
  const chunks: Uint8Array[] = []
  let exchange: Exchange | undefined
  let end: { readonly error?: unknown } | undefined
  let wake = (): void => {}

  function finish(how: { readonly error?: unknown }): void {
    end = how
    over.resolve()
    wake()
  }

  const sink: HttpSink = {
    onHead(status, _text, headers) {
      if (status >= 200) head.resolve(makeResponse(status, headers))
    },
    onData(chunk) {
      chunks.push(chunk)
      if (chunks.length >= mostHeld) exchange?.pause()
      wake()
    },
    onEnd: () => finish({}),
    onError(error) {
      head.reject(error)
      finish({ error })
    },
  }

  async function more(): Promise<void> {
    exchange?.resume()
    // What was held back has come by that.
    if (chunks.length > 0 || end) return
    await new Promise<void>((resolve) => {
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

  function makeResponse(status: number, headers: readonly string[]): Received {
    const rawHeaders = headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1] ?? ''] as const] : []))
    const byName: Record<string, string> = {}
    for (const [given, value] of rawHeaders) {
      const name = given.toLowerCase()
      byName[name] = Object.hasOwn(byName, name) ? `${byName[name]}, ${value}` : value
    }
    const isEmpty = method === 'HEAD' || status === 204 || status === 304
    const body = isEmpty ? read() : decoded(read(), byName['content-encoding'])
    const bytes = async (): Promise<Buffer> => {
      const parts: Uint8Array[] = []
      for await (const chunk of body) parts.push(chunk)
      return parts.length === 1 ? Buffer.from(parts[0] as Uint8Array) : Buffer.concat(parts)
    }
    return {
      status,
      ok: status >= 200 && status < 300,
      url,
      headers: byName,
      rawHeaders,
      body,
      bytes,
      text: async () => (await bytes()).toString('utf8'),
      json: async () => JSON.parse((await bytes()).toString('utf8')),
      async dump() {
        for await (const _ of read());
      },
    }
  }

  return {
    sink,
    response: head.promise,
    over: over.promise,
    attach(to: Exchange): void {
      exchange = to
    },
  }
}
