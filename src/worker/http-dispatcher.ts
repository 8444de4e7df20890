import { headerIn } from '../core/headers.ts'
import type { Exchange, HttpLink, HttpRequest, HttpSink } from './http.ts'
import { type Encoded, encodeBody, encodeSimple } from './http-body.ts'

/** Where the built-in fetch and undici look for the dispatcher that they use; each knows handlers of its own kind. */
const places = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2']

/** What undici's callers say of a request. */
export type DispatchOptions = {
  readonly origin?: string | URL | null
  readonly path: string
  readonly method: string
  readonly headers?: unknown
  readonly body?: unknown
  readonly query?: Readonly<Record<string, unknown>> | null
  readonly upgrade?: unknown
  readonly headersTimeout?: number | null
  readonly bodyTimeout?: number | null
}

type Controller = {
  rawHeaders: string[] | null
  rawTrailers: string[] | null
  readonly aborted: boolean
  readonly paused: boolean
  readonly reason: unknown
  abort(reason?: unknown): void
  pause(): void
  resume(): void
}

/** A handler of undici 7 and later. */
type Handler = {
  onRequestStart(controller: Controller, context: unknown): void
  onResponseStart(controller: Controller, status: number, headers: Record<string, string | string[]>, statusText: string): void
  onResponseData(controller: Controller, chunk: Buffer): void
  onResponseEnd(controller: Controller, trailers: Record<string, string | string[]>): void
  onResponseError(controller: Controller, error: unknown): void
}

/** A handler as the fetch of Node 24 has it. undici gives headers as Buffers there, and reads what strings have as well: toString. */
type LegacyHandler = {
  onConnect(abort: (reason?: unknown) => void, context: unknown): void
  onHeaders(status: number, headers: string[], resume: () => void, statusText: string): unknown
  onData(chunk: Buffer): unknown
  onComplete(trailers: string[]): void
  onError(error: unknown): void
}

/** Makes the pool the dispatcher of this thread. Nobody may replace it: sockets of its own are what an actor must not have. */
export function installDispatcher(link: HttpLink): void {
  const dispatcher = createDispatcher(link)
  for (const place of places) {
    const key = Symbol.for(place)
    if (!Object.hasOwn(globalThis, key)) Object.defineProperty(globalThis, key, { value: dispatcher })
  }
}

/** Speaks undici's Dispatcher over the pool: its `dispatch` serves fetch, undici.request and whatever takes a Dispatcher. */
export function createDispatcher(link: HttpLink) {
  return {
    dispatch(options: DispatchOptions, handler: Handler | LegacyHandler): boolean {
      const { controller, sink } = 'onRequestStart' in handler ? modern(handler) : legacy(handler)
      start(link, options, controller, sink)
      return true
    },
    // undici takes for a Dispatcher what has these too.
    close: async () => {},
    destroy: async () => {},
  }
}

/** A controller that may be told to abort or pause before its exchange is there. */
function createController() {
  let exchange: Exchange | undefined
  let sink: HttpSink | undefined
  const controller = {
    rawHeaders: null as string[] | null,
    rawTrailers: null as string[] | null,
    aborted: false,
    paused: false,
    reason: null as unknown,
    abort(reason: unknown = abortError()) {
      if (controller.aborted) return
      controller.aborted = true
      controller.reason = reason
      // A handler is not called back while it calls.
      queueMicrotask(() => (exchange ? exchange.abort(reason) : sink?.onError(reason)))
    },
    pause() {
      controller.paused = true
      exchange?.pause()
    },
    resume() {
      controller.paused = false
      exchange?.resume()
    },
  }
  return {
    controller,
    attach(to: Exchange) {
      exchange = to
      if (controller.paused) exchange.pause()
    },
    heardBy(by: HttpSink) {
      sink = by
    },
  }
}

type Control = ReturnType<typeof createController>

function modern(handler: Handler): { controller: Control; sink: HttpSink } {
  const control = createController()
  const { controller } = control
  const sink: HttpSink = {
    onHead(status, statusText, headers) {
      controller.rawHeaders = [...headers]
      guard(controller, () => handler.onResponseStart(controller, status, grouped(headers), statusText))
    },
    onData: (chunk) => guard(controller, () => handler.onResponseData(controller, chunk)),
    onEnd(trailers) {
      controller.rawTrailers = trailers
      guard(controller, () => handler.onResponseEnd(controller, grouped(trailers)))
    },
    onError: (error) => handler.onResponseError(controller, error),
  }
  control.heardBy(sink)
  handler.onRequestStart(controller, null)
  return { controller: control, sink }
}

function legacy(handler: LegacyHandler): { controller: Control; sink: HttpSink } {
  const control = createController()
  const { controller } = control
  const pauseUnless = (goesOn: unknown) => {
    if (goesOn === false) controller.pause()
  }
  const sink: HttpSink = {
    onHead: (status, statusText, headers) =>
      guard(controller, () => pauseUnless(handler.onHeaders(status, [...headers], () => controller.resume(), statusText))),
    onData: (chunk) => guard(controller, () => pauseUnless(handler.onData(chunk))),
    onEnd: (trailers) => guard(controller, () => handler.onComplete(trailers)),
    onError: (error) => handler.onError(error),
  }
  control.heardBy(sink)
  handler.onConnect((reason) => controller.abort(reason), null)
  return { controller: control, sink }
}

/** What a handler throws ends its own request only. */
function guard(controller: Controller, call: () => void): void {
  try {
    call()
  } catch (error) {
    controller.abort(error)
  }
}

function start(link: HttpLink, options: DispatchOptions, control: Control, sink: HttpSink): void {
  const { controller } = control
  const fail = (error: unknown) => queueMicrotask(() => controller.aborted || sink.onError(error))
  if (options.upgrade || options.method === 'CONNECT') return fail(unsupported())
  const headers = flat(options.headers)
  const open = (encoded: Encoded) => {
    if (controller.aborted) return
    try {
      control.attach(link.open(requestOf(options, headers, encoded), sink))
    } catch (error) {
      fail(error)
    }
  }
  const simple = encodeSimple(options.body)
  if (simple) return open(simple)
  encodeBody(options.body, lengthOf(headers)).then(open, fail)
}

function requestOf(options: DispatchOptions, headers: string[], { body, type, length }: Encoded): HttpRequest {
  const { origin, path, method, query, headersTimeout, bodyTimeout } = options
  if (type !== undefined && headerIn(headers, 'content-type') === undefined) headers.push('content-type', type)
  if (length !== undefined && lengthOf(headers) === undefined) headers.push('content-length', String(length))
  const limits = {
    ...(typeof headersTimeout === 'number' && { headersTimeout }),
    ...(typeof bodyTimeout === 'number' && { bodyTimeout }),
  }
  return {
    method,
    origin: String(origin ?? ''),
    path: query ? withQuery(path, query) : path,
    headers,
    body,
    ...(Object.keys(limits).length > 0 && { limits }),
  }
}

/** Headers come as names and values in turn, as pairs, or by name. */
function flat(headers: unknown): string[] {
  if (!headers) return []
  if (Array.isArray(headers) && !Array.isArray(headers[0])) return headers.map(String)
  const found: string[] = []
  const add = (name: string, value: unknown) => {
    if (value !== undefined && value !== null) found.push(name, String(value))
  }
  const pairs = typeof headers === 'object' && Symbol.iterator in headers ? headers : Object.entries(headers)
  for (const [name, value] of pairs as Iterable<[string, unknown]>) {
    if (Array.isArray(value)) for (const one of value) add(name, one)
    else add(name, value)
  }
  return found
}

function lengthOf(headers: readonly string[]): number | undefined {
  const length = headerIn(headers, 'content-length')
  return length === undefined ? undefined : Number(length)
}

function withQuery(path: string, query: Readonly<Record<string, unknown>>): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, one === null || one === undefined ? '' : String(one))
  }
  return search.size === 0 ? path : `${path}${path.includes('?') ? '&' : '?'}${search}`
}

function grouped(headers: readonly string[]): Record<string, string | string[]> {
  const found: Record<string, string | string[]> = {}
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = (headers[at] as string).toLowerCase()
    const value = headers[at + 1] as string
    const before = Object.hasOwn(found, name) ? found[name] : undefined
    found[name] = before === undefined ? value : [before, value].flat()
  }
  return found
}

function abortError(): Error {
  return Object.assign(new Error('Request aborted'), { name: 'AbortError', code: 'UND_ERR_ABORTED' })
}

function unsupported(): Error {
  return Object.assign(new Error('The shared pool carries requests, and neither WebSockets nor CONNECT'), {
    name: 'NotSupportedError',
    code: 'UND_ERR_NOT_SUPPORTED',
  })
}
