import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { ActorError } from '../core/errors.ts'
import { createGate } from './keys.ts'
import type { SqlAccess } from './store.ts'
import type { Fetch } from './supabase.ts'

export interface ServeOptions {
  /** Answers the requests to /rest/v1. */
  readonly fetch: Fetch
  readonly sql: SqlAccess
  readonly key: string
  /** 0 takes any free one. */
  readonly port: number
}

/** The store as a Supabase API on 127.0.0.1. */
export interface StoreServer {
  readonly url: string
  close(): Promise<void>
}

const host = '127.0.0.1'
const bodyLimit = 32 * 1024 * 1024
const closeLimit = 5_000

/** Serves a store to any Supabase client and to further Troupe processes; without the service key nothing is answered but 401. */
export async function serveStore({ fetch, sql, key, port }: ServeOptions): Promise<StoreServer> {
  const isAdmitted = createGate(key)

  async function answer(request: IncomingMessage, signal: AbortSignal): Promise<Response> {
    const { pathname, search } = new URL(request.url ?? '/', `http://${host}`)
    const headers = new Headers(
      Object.entries(request.headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
    )
    if (!isAdmitted(headers)) return refusal(401, 'The service key is missing or wrong', 'Send it as the apikey header')
    const method = request.method ?? 'GET'
    const body = await readBody(request)
    if (body === 'too large') return refusal(413, `The body is larger than ${bodyLimit / 1024 / 1024} MB`, 'Send less at a time')
    if (pathname.startsWith('/rest/v1/')) {
      const init = { method, headers, signal, ...(body.length > 0 ? { body } : {}) }
      return await fetch(new URL(pathname + search, `http://${host}`), init)
    }
    if (pathname === '/troupe/health') return Response.json({ pid: process.pid })
    if (pathname === '/troupe/query' && method === 'POST') return Response.json(await sql.query(body.toString('utf8'), { signal }))
    return refusal(404, `Nothing is at ${pathname}`, 'The REST API is under /rest/v1/')
  }

  async function handle(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const gone = new AbortController()
    reply.on('close', () => gone.abort())
    const response = await answer(request, gone.signal).catch(errorResponse)
    if (gone.signal.aborted) return
    reply.writeHead(response.status, [...response.headers].flat())
    if (response.body)
      await pipeline(response.body, reply).catch(() => {}) // the client is gone
    else reply.end()
  }

  const server = createServer((request, reply) => void handle(request, reply))
  await listen(server, port)
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async close() {
      if (!server.listening) return
      const timer = setTimeout(() => server.closeAllConnections(), closeLimit)
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      })
      clearTimeout(timer)
    },
  }
}

function listen(server: ReturnType<typeof createServer>, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'EADDRINUSE' ? 'somebody else listens there' : cause.message
      reject(new ActorError('CONFIG_INVALID', `Cannot serve on ${host}:${port}: ${reason}`, { cause }))
    })
    server.listen(port, host, resolve)
  })
}

/** Reads the body, at most as much of it as is allowed. */
async function readBody(request: IncomingMessage): Promise<Buffer<ArrayBuffer> | 'too large'> {
  if (Number(request.headers['content-length'] ?? 0) > bodyLimit) return 'too large'
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > bodyLimit) return 'too large'
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function refusal(status: number, message: string, hint: string): Response {
  // What is left of the body is not read, so the connection cannot go on.
  return Response.json({ code: `HTTP${status}`, message, hint, details: null }, { status, headers: { connection: 'close' } })
}

/** A failure in the form that PostgREST's clients read. */
function errorResponse(error: unknown): Response {
  const { message, details } = error as {
    message?: unknown
    details?: { kind?: unknown; code?: unknown; detail?: unknown; hint?: unknown }
  }
  const { kind, code = '', detail = null, hint = null } = details ?? {}
  const status = kind === undefined || kind === 'unavailable' ? 503 : 400
  return Response.json({ code, message: String(message), details: detail, hint }, { status })
}
