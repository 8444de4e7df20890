import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

/** The server's end of one WebSocket: text only, in one frame each, which is all that a realtime client sends. */
export interface ServerSocket {
  readonly url: URL
  send(text: string): void
  /** Cuts the connection without a closing handshake, as a network does. */
  destroy(): void
}

export interface WebSocketServerOptions {
  /** Asked before every upgrade: an HTTP status refuses it, `undefined` leaves it without an answer. */
  readonly answer: (url: URL) => 101 | 404 | 503 | undefined
  readonly onOpen: (socket: ServerSocket) => void
  readonly onText: (socket: ServerSocket, text: string) => void
  readonly onClose: (socket: ServerSocket) => void
  /** Whether this socket answers anything at all, closing handshakes included. */
  readonly isAlive: (socket: ServerSocket) => boolean
}

export interface WebSocketServer extends AsyncDisposable {
  readonly port: number
}

const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const

/** Serves WebSockets on a free port of 127.0.0.1. */
export async function serveWebSockets(options: WebSocketServerOptions): Promise<WebSocketServer> {
  const connections = new Set<Duplex>()
  const server = createServer((_request, response) => response.writeHead(404).end())
  server.on('connection', (connection: Duplex) => {
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
  })
  server.on('upgrade', (request: IncomingMessage, connection: Duplex) => {
    connection.on('error', () => connection.destroy())
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    const status = options.answer(url)
    if (status === 101) return accept(options, { request, connection, url })
    if (status !== undefined) connection.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Upgrade {
  readonly request: IncomingMessage
  readonly connection: Duplex
  readonly url: URL
}

function accept(options: WebSocketServerOptions, { request, connection, url }: Upgrade): void {
  const socket: ServerSocket = {
    url,
    send: (text) => void connection.write(frame(opcodes.text, Buffer.from(text))),
    destroy: () => void connection.destroy(),
  }
  const handlers: Record<number, (payload: Buffer) => void> = {
    [opcodes.text]: (payload) => options.onText(socket, payload.toString()),
    [opcodes.ping]: (payload) => void connection.write(frame(opcodes.pong, payload)),
    [opcodes.close]: (payload) => void connection.end(frame(opcodes.close, payload)),
  }
  let buffered = Buffer.alloc(0)
  connection.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk])
    for (let found = readFrame(buffered); found !== undefined; found = readFrame(buffered)) {
      buffered = buffered.subarray(found.length)
      if (options.isAlive(socket)) handlers[found.opcode]?.(found.payload)
    }
  })
  // A client that gives up before it has read our answer sends an end without a closing handshake.
  connection.on('end', () => connection.end())
  connection.on('close', () => options.onClose(socket))
  const key = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  const headers = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key.digest('base64')}`
  connection.write(`HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n\r\n`)
  options.onOpen(socket)
}

function frame(opcode: number, payload: Buffer): Buffer {
  const head = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff]
  return Buffer.concat([Buffer.from([0x80 | opcode, ...head]), payload])
}

/** Reads the frame at the start of the bytes; undefined while it is incomplete. A client's frames are always masked. */
function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; length: number } | undefined {
  if (bytes.length < 2) return undefined
  const short = bytes.readUInt8(1) & 0x7f
  const head = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < head + 4) return undefined
  const size = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  const length = head + 4 + size
  if (bytes.length < length) return undefined
  const mask = bytes.subarray(head, head + 4)
  const payload = Buffer.from(bytes.subarray(head + 4, length).map((byte, index) => byte ^ (mask[index % 4] ?? 0)))
  return { opcode: bytes.readUInt8(0) & 0x0f, payload, length }
}
