import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Agent, Pool, fetch as undiciFetch } from 'undici'
import type { Event } from '../core/events.ts'
import { originOf } from '../core/origin.ts'
import type { Dispatch } from './http-exchange.ts'
import type { HttpRights, HttpSettings } from './http-policy.ts'
import { serveHttpPort } from './http-port.ts'

/** The one HTTP pool of this process: sockets, limits, retries and secrets of all actors. */
export type HttpPool = {
  /** Makes a port for one incarnation of an agent; what it asks there ends with the thread that has the port, or when `ended` resolves. */
  connect(rights: HttpRights, ended: Promise<unknown>): MessagePort
  /** The host's own requests through the same sockets; no limits. Secrets are attached where the request says nothing by itself. */
  readonly fetch: typeof fetch
  close(): Promise<void>
}

export type HttpPoolOptions = { readonly settings: HttpSettings; readonly emit: (event: Event) => void }

/** Makes the pool; it has no socket before the first request. */
export function createHttpPool({ settings, emit }: HttpPoolOptions): HttpPool {
  const agent = new Agent({
    keepAliveTimeout: settings.keepAlive,
    factory(origin, options) {
      const connections = settings.origins[String(origin)]?.connections ?? settings.connections
      return new Pool(origin, { ...options, connections })
    },
  })
  const dispatch = agent.dispatch.bind(agent) as unknown as Dispatch

  return {
    connect(rights, ended) {
      const { port1, port2 } = new MessageChannel()
      const { team, id } = rights
      serveHttpPort({
        port: port1,
        rights,
        settings,
        dispatch,
        onDenied: (origin) => emit({ name: 'http:denied', team, id, origin }),
        onTraffic: (origin, traffic) => emit({ name: 'http:traffic', team, id, origin, ...traffic }),
      })
      void ended.then(() => port1.close())
      return port2
    },
    fetch: ((input: string | URL, init: RequestInit = {}) => {
      const headers = settings.origins[originOf(String(input)) ?? '']?.headers
      const merged = new Headers(init.headers)
      for (const [name, value] of Object.entries(headers ?? {})) if (!merged.has(name)) merged.set(name, value)
      return undiciFetch(input, { ...init, headers: [...merged], dispatcher: agent } as never)
    }) as unknown as typeof fetch,
    close: () => agent.destroy(),
  }
}
