import { createHash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { brotliCompressSync, gzipSync } from 'node:zlib'

type Route = (url: URL, request: IncomingMessage, response: ServerResponse) => unknown

let sockets = 0
let mostSockets = 0
let requests = 0
let paused = 0
let mostPaused = 0
const started: string[] = []
const aborted: string[] = []
const events = new EventEmitter().setMaxListeners(0)
const flaky = new Map<string, number>()

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await request.toArray())
}

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

const routes: Record<string, Route> = {
  '/seen': (_url, _request, response) => json(response, { sockets: sockets - 1, mostSockets, requests, mostPaused, aborted }),
  async '/wait'(url, _request, response) {
    const path = url.searchParams.get('path') ?? ''
    const list = url.searchParams.get('what') === 'started' ? started : aborted
    while (!list.includes(path)) await once(events, 'change')
    json(response, { path })
  },
  async '/pause'(_url, _request, response) {
    paused += 1
    mostPaused = Math.max(mostPaused, paused)
    await delay(20)
    paused -= 1
    json(response, {})
  },
  async '/echo'(url, request, response) {
    const body = (await bodyOf(request)).toString('latin1')
    json(response, { method: request.method, search: url.search, rawHeaders: request.rawHeaders, body })
  },
  '/repeated': (_url, _request, response) =>
    response
      .writeHead(200, ['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'X-Twice', 'one', 'X-Twice', 'two', 'X-Latin', 'caf\u00e9'])
      .end('ok'),
  '/redirect': (url, _request, response) =>
    response.writeHead(Number(url.searchParams.get('status') ?? 302), { location: url.searchParams.get('to') ?? '/' }).end('moved'),
  '/moving': (_url, _request, response) => response.writeHead(302, { location: '/echo' }).write('and so on'),
  '/loop': (_url, _request, response) => response.writeHead(302, { location: '/loop' }).end(),
  '/gzip': (_url, _request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('squeezed '.repeat(1_000))),
  '/br': (_url, _request, response) =>
    response.writeHead(200, { 'content-encoding': 'br' }).end(brotliCompressSync('squeezed '.repeat(1_000))),
  '/empty': (_url, _request, response) => response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': '0' }).end(),
  '/half': (_url, _request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('squeezed '.repeat(1_000)).subarray(0, 40)),
  async '/bytes'(url, _request, response) {
    const chunk = Buffer.alloc(2 ** 16, 7)
    for (let left = Number(url.searchParams.get('n')); left > 0; left -= chunk.length) {
      if (!response.write(chunk.subarray(0, Math.min(left, chunk.length)))) await once(response, 'drain')
    }
    response.end()
  },
  async '/upload'(_url, request, response) {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of request) {
      hash.update(chunk)
      bytes += chunk.length
    }
    json(response, { bytes, hash: hash.digest('hex') })
  },
  async '/sse'(url, _request, response) {
    const every = Number(url.searchParams.get('every'))
    const count = Number(url.searchParams.get('n'))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    for (let at = 0; at < count && !response.destroyed; at += 1) {
      response.write(`data: ${at}\n\n`)
      if (every > 0) await delay(every)
    }
    response.end()
  },
  '/silent': () => {},
  '/head-only': (_url, _request, response) => response.writeHead(200).flushHeaders(),
  '/stuck': (_url, _request, response) => response.writeHead(200).write('the beginning'),
  '/reset': (_url, request) => request.socket.resetAndDestroy(),
  '/cut': (_url, request, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('some', () => request.socket.destroy())
  },
  '/flaky'(url, request, response) {
    const id = url.searchParams.get('id') ?? ''
    const times = (flaky.get(id) ?? 0) + 1
    flaky.set(id, times)
    if (times > Number(url.searchParams.get('fails'))) return json(response, { times })
    if (url.searchParams.get('how') === 'reset') return request.socket.resetAndDestroy()
    const after = url.searchParams.get('after')
    return response.writeHead(503, { ...(after !== null && { 'retry-after': after }) }).end('away')
  },
}

const server = createServer((request, response) => {
  requests += 1
  const url = new URL(request.url ?? '/', 'http://here')
  response.on('close', () => {
    if (response.writableFinished) return
    aborted.push(url.pathname + url.search)
    events.emit('change')
  })
  started.push(url.pathname + url.search)
  events.emit('change')
  const route = routes[url.pathname]
  if (route) void Promise.resolve(route(url, request, response)).catch(() => response.destroy())
  else json(response, { error: 'no such route' }, 404)
})
server.on('connection', (socket) => {
  sockets += 1
  mostSockets = Math.max(mostSockets, sockets)
  socket.on('close', () => {
    sockets -= 1
  })
  socket.on('error', () => {})
})

const odd = createTcpServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', (data) => {
    const [, path = ''] = data.toString('latin1').split(' ', 2)
    if (path === '/garbage') socket.end('this is no HTTP at all\r\n\r\n')
    else if (path === '/lying') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 7\r\n\r\nabc')
    else if (path === '/chunks') socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc')
    else socket.end()
  })
})

server.listen(0, '127.0.0.1', () =>
  odd.listen(0, '127.0.0.1', () =>
    process.send?.({ port: (server.address() as AddressInfo).port, odd: (odd.address() as AddressInfo).port }),
  ),
)
process.on('disconnect', () => process.exit())
