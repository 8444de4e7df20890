import { headerIn } from '../core/headers.ts'
import type { Http, HttpOptions, HttpResponse } from '../core/http.ts'
import type { RawHeaders } from '../core/http-wire.ts'
import { longestTimer } from '../core/longest-timer.ts'
import { checkNumber, refuse } from './checks.ts'
import type { HttpLink } from './http.ts'
import { encodeBody, encodeSimple } from './http-body.ts'
import { Inbox } from './http-inbox.ts'

type Hop = { readonly url: URL; readonly method: string; readonly headers: RawHeaders; readonly body: unknown }

/** A request whose answer is not there to its end. */
export type OpenRequest = Pick<Inbox, 'abort' | 'leave'>

export type HttpClientOptions = {
  readonly link: HttpLink
  /** What it returns is called when the request is over. */
  readonly onOpen: (request: OpenRequest) => () => void
}

const mostRedirects = 5
const redirects = new Set([301, 302, 303, 307, 308])
// Without deflate, of which servers have two that differ.
const plain: RawHeaders = Object.freeze(['accept-encoding', 'gzip, br', 'user-agent', 'troupe'])

/** Makes ctx.http straight on the pool's port: fetch would cost its thread 7 MB. */
export function createHttpClient(client: HttpClientOptions): Http {
  return (given, options = {}) => {
    const { json, redirect } = options
    const body = json === undefined ? options.body : JSON.stringify(json)
    const method = options.method?.toUpperCase() ?? (body === null || body === undefined ? 'GET' : 'POST')
    const hop = { url: addressOf(given, options.query), method, headers: headersOf(options.headers, json !== undefined), body }
    const signal = signalOf(options)
    return redirect === 'manual' ? send(client, hop, signal) : follow(client, hop, signal)
  }
}

function addressOf(given: string | URL, query: HttpOptions['query']): URL {
  const url = URL.parse(String(given))
  if (!url) refuse('The address of ctx.http', given, 'a whole one, such as https://api.example.com/v1')
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) url.searchParams.append(name, String(one))
  }
  return url
}

function signalOf({ signal, timeout }: HttpOptions): AbortSignal | undefined {
  if (timeout === undefined) return signal
  checkNumber(timeout, 'The timeout of ctx.http', { least: 1, most: longestTimer })
  const timer = AbortSignal.timeout(timeout)
  return signal ? AbortSignal.any([signal, timer]) : timer
}

async function follow(client: HttpClientOptions, first: Hop, signal: AbortSignal | undefined): Promise<HttpResponse> {
  let hop = first
  for (let hops = 0; ; hops += 1) {
    const response = await send(client, hop, signal)
    if (!redirects.has(response.status)) return response
    const { location } = response.headers
    if (location === undefined) return response
    // Its body is for nobody, and may be long, or never end.
    response.drop()
    if (hops === mostRedirects) throw new Error(`More than ${mostRedirects} redirects, the last to ${location}`)
    hop = nextHop(hop, new URL(location, hop.url), response.status)
  }
}

/** As fetch does: after 303, and after 301 or 302 to a POST, it is a GET; another origin is not told who we are. */
function nextHop({ url, method, headers, body }: Hop, to: URL, status: number): Hop {
  const becomesGet = (status === 303 && method !== 'HEAD') || ((status === 301 || status === 302) && method === 'POST')
  const dropped = [
    ...(becomesGet ? ['content-type', 'content-length', 'content-encoding'] : []),
    ...(to.origin === url.origin ? [] : ['authorization', 'cookie', 'proxy-authorization', 'host']),
  ]
  const kept = headers.filter((_, at) => !dropped.includes((headers[at - (at % 2)] as string).toLowerCase()))
  if (!becomesGet && isOnce(body)) throw new Error(`A body that is a stream cannot be sent again to ${to}`)
  return { url: to, method: becomesGet ? 'GET' : method, headers: kept, body: becomesGet ? null : body }
}

function isOnce(body: unknown): boolean {
  return encodeSimple(body) === undefined && typeof body === 'object' && body !== null && Symbol.asyncIterator in body
}

async function send({ link, onOpen }: HttpClientOptions, hop: Hop, signal: AbortSignal | undefined) {
  signal?.throwIfAborted()
  const { url, method } = hop
  const onAbort = () => inbox.abort(signal?.reason)
  const inbox = new Inbox(method, url.href, () => {
    signal?.removeEventListener('abort', onAbort)
    close()
  })
  const close = onOpen(inbox)
  signal?.addEventListener('abort', onAbort, { once: true })
  open(link, hop, inbox).catch((error) => inbox.onError(error))
  return inbox.response
}

/** Encoding a body may take its time: what was given up meanwhile is not sent. */
async function open(link: HttpLink, { url, method, headers: given, body: raw }: Hop, inbox: Inbox): Promise<void> {
  const { body, type, length } = encodeSimple(raw) ?? (await encodeBody(raw))
  if (inbox.isOver) return
  const headers = withBody(given, type, length)
  inbox.attach(link.open({ method, origin: url.origin, path: url.pathname + url.search, headers, body }, inbox))
}

/** The headers, with those that follow from the body and are not there. */
function withBody(headers: RawHeaders, type: string | undefined, length: number | undefined): RawHeaders {
  const adds = (name: string, value: string | undefined) =>
    value === undefined || headerIn(headers, name) !== undefined ? [] : [name, value]
  if (type === undefined && length === undefined) return headers
  return [...headers, ...adds('content-type', type), ...adds('content-length', length?.toString())]
}

function headersOf(given: HttpOptions['headers'], isJson: boolean): RawHeaders {
  const headers: string[] = []
  for (const [name, value] of Object.entries(given ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) headers.push(name, String(one))
  }
  const common = isJson ? [...plain, 'content-type', 'application/json'] : plain
  if (headers.length === 0) return common
  return [...common.filter((_, at) => headerIn(headers, common[at - (at % 2)] as string) === undefined), ...headers]
}
