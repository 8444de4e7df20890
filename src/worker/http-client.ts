import type { Http, HttpOptions, HttpResponse } from '../core/http.ts'
import type { Exchange, HttpLink, HttpRequest } from './http.ts'
import { encodeBody, encodeSimple } from './http-body.ts'
import { createInbox } from './http-inbox.ts'

type Hop = {
  readonly url: URL
  readonly method: string
  readonly headers: readonly string[]
  readonly options: HttpOptions
  readonly hasBody: boolean
}

const mostRedirects = 5
const redirects = new Set([301, 302, 303, 307, 308])
const plain = { 'accept-encoding': 'gzip, deflate, br', 'user-agent': 'troupe' }

export type HttpClientOptions = {
  readonly link: HttpLink
  /** Ends every request. */
  readonly signalOf: () => AbortSignal
  readonly onOpen: (exchange: Exchange, over: Promise<void>) => void
}

/** Makes ctx.http straight on the pool's port: fetch would cost its thread 7 MB. */
export function createHttpClient(client: HttpClientOptions): Http {
  const { signalOf } = client
  return async (given, options = {}) => {
    const url = new URL(given)
    for (const [name, value] of Object.entries(options.query ?? {})) {
      for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) url.searchParams.append(name, String(one))
    }
    const { json, timeout, signal } = options
    const body = json === undefined ? options.body : JSON.stringify(json)
    const method = (options.method ?? (body === null || body === undefined ? 'GET' : 'POST')).toUpperCase()
    const signals = [signalOf(), ...(signal ? [signal] : []), ...(timeout === undefined ? [] : [AbortSignal.timeout(timeout)])]
    const headers = headersOf(options, json !== undefined)
    const first = { url, method, headers, options: { ...options, body }, hasBody: body !== null && body !== undefined }
    return follow(client, first, signals.length === 1 ? signalOf() : AbortSignal.any(signals))
  }
}

async function follow(client: HttpClientOptions, first: Hop, signal: AbortSignal): Promise<HttpResponse> {
  let hop = first
  for (let hops = 0; ; hops += 1) {
    const response = await send(client, hop, signal)
    const { location } = response.headers
    if (hop.options.redirect === 'manual' || !redirects.has(response.status) || location === undefined) return response
    await response.dump()
    if (hops === mostRedirects) throw new Error(`More than ${mostRedirects} redirects, the last to ${location}`)
    hop = nextHop(hop, new URL(location, hop.url), response.status)
  }
}

/** As fetch does: after 303, and after 301 or 302 to a POST, it is a GET; another origin is not told who we are. */
function nextHop({ url, method, headers, options, hasBody }: Hop, to: URL, status: number): Hop {
  const becomesGet = (status === 303 && method !== 'HEAD') || ((status === 301 || status === 302) && method === 'POST')
  const dropped = [
    ...(becomesGet ? ['content-type', 'content-length', 'content-encoding'] : []),
    ...(to.origin === url.origin ? [] : ['authorization', 'cookie', 'proxy-authorization', 'host']),
  ]
  const kept = headers.filter((_, at) => !dropped.includes((headers[at - (at % 2)] as string).toLowerCase()))
  if (!becomesGet && hasBody && isOnce(options.body)) throw new Error(`A body that is a stream cannot be sent again to ${to}`)
  return {
    url: to,
    method: becomesGet ? 'GET' : method,
    headers: kept,
    options: becomesGet ? { ...options, body: null } : options,
    hasBody: hasBody && !becomesGet,
  }
}

function isOnce(body: HttpOptions['body']): boolean {
  return encodeSimple(body) === undefined && typeof body === 'object' && body !== null && Symbol.asyncIterator in body
}

async function send({ link, onOpen }: HttpClientOptions, hop: Hop, signal: AbortSignal) {
  signal.throwIfAborted()
  const { body, type, length } = encodeSimple(hop.options.body) ?? (await encodeBody(hop.options.body))
  const has = (name: string) => hop.headers.some((one, at) => at % 2 === 0 && one.toLowerCase() === name)
  const headers = [...hop.headers]
  if (type !== undefined && !has('content-type')) headers.push('content-type', type)
  if (length !== undefined && body !== null && !has('content-length')) headers.push('content-length', String(length))
  const request: HttpRequest = { method: hop.method, origin: hop.url.origin, path: hop.url.pathname + hop.url.search, headers, body }
  const inbox = createInbox({ method: hop.method, url: hop.url.href })
  const exchange = link.open(request, inbox.sink)
  inbox.attach(exchange)
  onOpen(exchange, inbox.over)
  const onAbort = () => exchange.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  void inbox.over.then(() => signal.removeEventListener('abort', onAbort))
  return inbox.response
}

function headersOf({ headers = {} }: HttpOptions, isJson: boolean): string[] {
  const given = Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => (one === undefined ? [] : [name, String(one)])),
  )
  const names = new Set(given.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()))
  const common = { ...plain, ...(isJson && { 'content-type': 'application/json' }) }
  return [...Object.entries(common).flatMap(([name, value]) => (names.has(name) ? [] : [name, value])), ...given]
}
