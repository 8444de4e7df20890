import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** The server of `bench -- http`, in a process of its own. */
const sockets = new Set<Socket>()
const chunk = Buffer.alloc(2 ** 16, 7)
let most = 0

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://here')
  const count = Number(searchParams.get('n'))
  if (pathname === '/small') return response.end('{"status":"ok"}')
  if (pathname === '/seen') return response.end(JSON.stringify({ most }))
  if (pathname === '/reset') {
    // Its own stays, and is not counted from here on.
    for (const socket of sockets) if (socket !== request.socket) socket.destroy()
    sockets.clear()
    most = 0
    return response.end()
  }
  response.writeHead(200, { 'content-type': pathname === '/events' ? 'text/event-stream' : 'application/octet-stream' })
  if (pathname === '/events') {
    for (let at = 0; at < count && !response.destroyed; at += 1) {
      response.write(`data: ${at}\n\n`)
      await delay(1)
    }
  } else {
    for (let left = count; left > 0 && !response.destroyed; left -= chunk.length)
      if (!response.write(chunk.subarray(0, Math.min(left, chunk.length)))) await once(response, 'drain')
  }
  return response.end()
})
server.on('connection', (socket) => {
  sockets.add(socket)
  most = Math.max(most, sockets.size)
  socket.on('close', () => sockets.delete(socket))
  socket.on('error', () => {})
})
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit())
