import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A way to a server that can be cut. */
export type SocketProxy = AsyncDisposable & {
  /** The same address, by way of the proxy. */
  readonly url: string
  /** Destroys every connection; new ones are let through. */
  cut(): number
  /** Lets nothing through any more, and says nothing. */
  freeze(): void
}

export async function startProxy(target: string): Promise<SocketProxy> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {}) // that is what the proxy is for
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(target)
  url.port = String((server.address() as AddressInfo).port)

  function cut(): number {
    const count = sockets.size
    for (const socket of sockets) socket.destroy()
    return count
  }

  return {
    url: url.href,
    cut,
    freeze() {
      for (const socket of sockets) socket.unpipe().pause()
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      cut()
      await closed
    },
  }
}
