import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { rawMarket } from '../markets/build.ts'

/** The exchange on this machine: as many markets as are asked for, all alike, with books around 0.40 that are as old as the question. */
export async function startExchange(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://exchange')
    const body = pathname === '/books' ? ((await json(request)) as { token_id: string }[]).map(bookOf) : marketOf(pathname)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

function marketOf(path: string): unknown {
  const id = path.split('/').at(-1) ?? ''
  const [updatedAt, endDate] = [new Date(), new Date(Date.now() + 30 * 86_400_000)].map((time) => time.toISOString())
  return rawMarket({ id, clobTokenIds: JSON.stringify([`${id}1`, `${id}2`]), updatedAt, endDate })
}

function bookOf({ token_id: token }: { readonly token_id: string }): unknown {
  const [bid, ask] = token.endsWith('1') ? ['0.40', '0.41'] : ['0.59', '0.60']
  const level = (price: string) => [{ price, size: '500' }]
  const about = { asset_id: token, timestamp: String(Date.now()), hash: token, tick_size: '0.01', min_order_size: '5' }
  return { ...about, bids: level(bid), asks: level(ask) }
}
