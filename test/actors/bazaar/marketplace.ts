import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  addJob,
  beat,
  crashed,
  type Job,
  type Json,
  jobOf,
  list,
  type Market,
  type Mode,
  ok,
  placeBid,
  type Reply,
  refused,
  register,
  select,
  submit,
  sweep,
} from './market-rules.ts'

export type { Job, Json, Mode } from './market-rules.ts'

/** A request as it came, with the status of the answer. */
export type Call = {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Json | undefined
  readonly status: number
}

/** What goes wrong with a request: an error, no connection, or an answer that is lost after the work was done. */
export type Fault = 'error' | 'cut' | 'lost'
export type FaultFor = (method: string, path: string) => Fault | undefined

export type Marketplace = Awaited<ReturnType<typeof startMarketplace>>

const patience = 45_000

/** A marketplace over real sockets: the server's rules in memory, everything that was asked, and faults. */
export async function startMarketplace({ mode = 'faithful' as Mode, coolDown = 10_000 } = {}) {
  const market: Market = { mode, coolDown, agents: new Map(), jobs: [], bids: new Map(), files: new Map(), registered: new Map() }
  const calls: Call[] = []
  const looking = new Set<() => void>()
  const faults: { for: FaultFor } = { for: () => undefined }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://market')
    const method = request.method ?? 'GET'
    const text = (await request.toArray()).join('')
    const fault = faults.for(method, path)
    if (fault === 'cut') return void request.socket.destroy()
    const body = text === '' ? undefined : (JSON.parse(text) as Json)
    const reply = fault === 'error' ? crashed : route(market, { method, path, query, body })
    calls.push({ method, path, query, body, status: reply.status })
    if (fault === 'lost') request.socket.destroy()
    else send(response, reply)
    for (const look of [...looking]) look()
  }

  const server = createServer((request, response) => void handle(request, response).catch((error) => response.destroy(error)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  /** Resolves when something that is true of the marketplace after a request. */
  async function until(what: string, isSo: () => boolean, limit = patience): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = () => isSo() && resolve()
    const last = () => calls.slice(-30).map(({ method, path, status }) => `${method} ${path} ${status}`)
    const timer = setTimeout(() => reject(new Error(`Not within ${limit} ms: ${what}\n${last().join('\n')}`)), limit)
    looking.add(look)
    look()
    return await promise.finally(() => {
      clearTimeout(timer)
      looking.delete(look)
    })
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    market,
    calls,
    faults,
    until,
    post: (job: Json): Job => addJob(market, job),
    job: (id: string) => jobOf(market, id),
    bids: (id: string) => market.bids.get(id) ?? [],
    select: (id: string, bid: string) => select(market, id, bid),
    sweep: (now?: number) => sweep(market, now),
    attach(job: Job, name: string, content: string): void {
      const file_id = `file_${job.attachments.length + 1}`
      market.files.set(`${job.job_id}/${file_id}`, Buffer.from(content))
      job.attachments.push({
        file_id,
        original_filename: name,
        filename: name,
        size_bytes: content.length,
        category: 'code',
        mime_type: 'text/plain',
      })
    },
    /** The answers to requests of that kind, oldest first. */
    of: (method: string, path: RegExp) => calls.filter((call) => call.method === method && path.test(call.path)),
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** After an unhandled error the connection is closed, with no word of it in the head. */
function send(response: ServerResponse, { status, body }: Reply): void {
  if (body instanceof Uint8Array) return void response.writeHead(status, { 'content-length': body.length }).end(body)
  const isCrash = typeof body === 'string'
  const text = isCrash ? body : JSON.stringify(body)
  response.writeHead(status, { 'content-type': isCrash ? 'text/plain' : 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text, () => isCrash && response.socket?.destroySoon())
}

type Asked = Pick<Call, 'method' | 'path' | 'query' | 'body'>

function route(market: Market, { method, path, query, body = {} }: Asked): Reply {
  const [, api, kind, id, what, last] = path.split('/')
  if (api !== 'api') return refused(404, 'Not Found')
  switch (`${method} ${kind}${id === undefined ? '' : '/:id'}${what === undefined ? '' : `/${what}`}`) {
    case 'POST agents/:id':
      return id === 'register' ? register(market, body) : refused(405, 'Method Not Allowed')
    case 'GET agents/:id':
      return market.agents.has(String(id)) ? ok(market.agents.get(String(id))) : refused(404, 'Agent not found')
    case 'POST agents/:id/heartbeat':
      return beat(market, String(id), body)
    case 'GET agents/:id/jobs':
      return market.agents.has(String(id)) ? list(market, query, id) : refused(404, 'Agent not found')
    case 'GET jobs':
      return list(market, query)
    case 'GET jobs/:id': {
      const job = jobOf(market, String(id))
      return job ? ok({ ...job, bids: market.bids.get(job.job_id) ?? [] }) : refused(404, 'Job not found')
    }
    case 'GET jobs/:id/files': {
      const file = market.files.get(`${id}/${last}`)
      return file ? { status: 200, body: file } : refused(404, 'File not found')
    }
    case 'POST jobs/:id/bids':
      return placeBid(market, String(id), query)
    case 'POST jobs/:id/select-bid':
      return select(market, String(id), String(last))
    case 'POST jobs/:id/submit-result':
      return submit(market, String(id), body)
    default:
      return refused(404, 'Not Found')
  }
}
