import type { MessagePort } from 'node:worker_threads'
import { ActorError } from '../core/errors.ts'
import { createHeaderReader, headerIn, pairs } from '../core/headers.ts'
import { type Bytes, eachFrame, type RawHeaders, type RequestLimits, sizesOf, toHost } from '../core/http-wire.ts'
import { isAllowed, originOf } from '../core/origin.ts'
import { createSlots } from '../core/slots.ts'
import { createSender } from '../worker/http-sender.ts'
import { type Asked, type Dispatch, HostExchange, type How, type Route } from './http-exchange.ts'
import { createGate } from './http-gate.ts'
import { denial, type HttpRights, type HttpSettings, misnamed } from './http-policy.ts'
import { createTraffic, type Traffic } from './http-traffic.ts'

export type HttpPortOptions = {
  readonly port: MessagePort
  readonly rights: HttpRights
  readonly settings: HttpSettings
  readonly dispatch: Dispatch
  readonly onDenied: (origin: string) => void
  readonly onTraffic: (origin: string, traffic: Readonly<Traffic>) => void
}

/** Origins that are remembered; an actor may invent as many as it likes. */
const mostRoutes = 1_000
/** Requests of one agent that may wait for their turn. */
const line = 1_000
/** Ms between two reports of an agent's traffic. */
const reportEvery = 10_000

const sizes = sizesOf(toHost)

/** Serves one incarnation's port: its requests end with it. */
export function serveHttpPort({ port, rights, settings, dispatch, onDenied, onTraffic }: HttpPortOptions): void {
  const exchanges = createSlots<HostExchange>()
  const sender = createSender((frames, transfer) => port.postMessage(frames, transfer))
  const gate = createGate({ concurrency: rights.concurrency, rate: rights.rate, line })
  const traffic = createTraffic(onTraffic, reportEvery)
  const routes = new Map<string, Route>()
  const readHeaders = createHeaderReader()
  const shared = { sender, dispatch, onOver: over }

  function take(frames: readonly unknown[], op: number, id: number, at: number): void {
    if (op === toHost.open.op) return open(readAsked(frames, id, at, readHeaders))
    const exchange = exchanges.get(id)
    if (!exchange) return // over
    const value = frames[at + 2]
    if (op === toHost.data.op) exchange.data(value as Bytes)
    else if (op === toHost.end.op) exchange.end()
    else if (op === toHost.abort.op) exchange.abort()
    else exchange.ack(Number(value))
  }

  /** What holds for all requests to one origin. */
  function routeTo(asked: string): Route {
    const known = routes.get(asked)
    if (known) return known
    const origin = originOf(asked) ?? asked
    const { headers, retries = settings.retries } = settings.origins[origin] ?? {}
    const route = { origin, isAllowed: isAllowed(origin, rights.origins), secrets: headers, retries, counts: traffic.of(origin) }
    if (routes.size < mostRoutes) routes.set(asked, route)
    return route
  }

  function open(asked: Asked): void {
    const route = routeTo(asked.origin)
    const exchange = new HostExchange(asked, route, shared)
    if (!exchanges.take(asked.id, exchange)) throw new TypeError('A request whose number is taken')
    route.counts.requests += 1
    traffic.counted()
    if (!route.isAllowed) {
      route.counts.denied += 1
      onDenied(route.origin)
      return exchange.fail(denial(rights, route.origin))
    }
    if (namesAnother(asked.headers, route.origin)) return exchange.fail(misnamed(route.origin))
    if (!gate.enter(exchange)) exchange.fail(new ActorError('HANDLER_FAILED', `${line} requests of "${rights.id}" wait already`))
  }

  function over(exchange: HostExchange, how: How): void {
    const { counts } = exchange.route
    exchanges.delete(exchange.id)
    if (how !== 'done') counts[how] += 1
    counts.slowest = Math.max(counts.slowest, Math.round(performance.now() - exchange.began))
    if (exchange.hasBegun) gate.leave()
    else gate.forget(exchange)
  }

  function close(): void {
    for (const exchange of exchanges.values()) exchange.abort()
    gate.close()
    traffic.flush()
  }

  port.on('message', (frames: readonly unknown[]) => {
    try {
      if (!eachFrame(frames, sizes, (op, id, at) => take(frames, op, id, at))) throw new TypeError('A frame that is none of ours')
    } catch {
      // Whatever an actor has posted there, this port speaks HTTP only.
      port.close()
    }
  })
  port.on('close', close)
  // It is the actor's thread that keeps it open.
  port.unref()
}

/** Whether a header host, which undici also asks for by TLS, is not that of the origin. */
function namesAnother(headers: RawHeaders, origin: string): boolean {
  if (headerIn(headers, 'host') === undefined) return false
  const [scheme] = origin.split('://', 1)
  return pairs(headers).some(([name, value]) => name.toLowerCase() === 'host' && originOf(`${scheme}://${value}`) !== origin)
}

/** Throws a TypeError for what our end in the actor's thread would not send. */
function readAsked(frames: readonly unknown[], id: number, at: number, read: (text: string) => RawHeaders): Asked {
  const [method, origin, path, headers] = [frames[at + 2], frames[at + 3], frames[at + 4], frames[at + 5]]
  const [body, limits] = [frames[at + 6], frames[at + 7]]
  const isText = typeof method === 'string' && typeof origin === 'string' && typeof path === 'string' && typeof headers === 'string'
  const isBody = body === null || body === true || typeof body === 'string' || body instanceof Uint8Array
  if (!isText || !isBody || typeof limits !== 'object') throw new TypeError('A request that is none of ours')
  return { id, method, origin, path, headers: read(headers), body, limits: limits && readLimits(limits) }
}

/** These and nothing else: undici takes the origin and all the rest from the same object. */
function readLimits({ headersTimeout, bodyTimeout }: { readonly headersTimeout?: unknown; readonly bodyTimeout?: unknown }): RequestLimits {
  return { ...(typeof headersTimeout === 'number' && { headersTimeout }), ...(typeof bodyTimeout === 'number' && { bodyTimeout }) }
}
