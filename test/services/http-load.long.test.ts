import { createHash } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPool, type Pool } from './http-pool.ts'
import { type HttpServer, startHttpServer } from './http-server.ts'

const ways = ['fetch', 'http', 'request'] as const
const size = 50 * 2 ** 20
/** Garbage that is not collected yet may be 100 MB, as with a private pool; what is kept would be more. */
const large = 12 * size

let server: HttpServer
beforeAll(async () => {
  server = await startHttpServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

async function withClient(run: (pool: Pool, client: Awaited<ReturnType<Pool['client']>>) => Promise<void>): Promise<void> {
  await using pool = openPool()
  await run(pool, await pool.client())
}

/** The most that the process grew while something ran. */
async function growth(run: () => Promise<unknown>): Promise<number> {
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss())
  }, 5)
  await run()
  clearInterval(timer)
  return most - before
}

test('fifty actors with two hundred requests each share sixteen sockets', { timeout: 120_000 }, async () => {
  await using own = await startHttpServer()
  await using pool = openPool({ connections: 16 })
  const clients = await Promise.all(Array.from({ length: 50 }, () => pool.client({ concurrency: 64 })))
  const run = clients.map((client, at) => client.run<number>('many', { how: ways[at % 2], url: `${own.origin}/echo`, times: 200 }))
  expect((await Promise.all(run)).every((count) => count === 200)).toBe(true)
  const { mostSockets, requests } = await own.seen()
  // One more is the test's own, which asks for this.
  expect({ isCapped: mostSockets <= 17, requests }).toEqual({ isCapped: true, requests: 50 * 200 + 1 })
})

test.each(ways)('50 MB down by %s, and twelve times that, need a bounded memory', async (how) => {
  await withClient(async (_, client) => {
    await client.run('read', { how, url: `${server.origin}/bytes?n=1000000` })
    const grew = await growth(async () => {
      expect(await client.run('read', { how, url: `${server.origin}/bytes?n=${large}` })).toMatchObject({ bytes: large })
    })
    expect(grew).toBeLessThan(8 * size)
  })
})

// What fetch itself does with a body that is a stream is garbage of the same size, in any thread and with any pool.
test.each([
  ['fetch', size],
  ['http', large],
  ['request', large],
] as const)('an upload by %s needs a bounded memory', async (how, bytes) => {
  const hash = createHash('sha256').update(Buffer.alloc(bytes, 7)).digest('hex')
  await withClient(async (_, client) => {
    const grew = await growth(async () => {
      expect(await client.run('upload', { how, url: `${server.origin}/upload`, bytes })).toEqual({ bytes, hash })
    })
    expect(grew).toBeLessThan(8 * size)
  })
})

test.each(ways)('a slow reader by %s holds the server back', async (how) => {
  await withClient(async (_, client) => {
    const grew = await growth(() => client.run('read', { how, url: `${server.origin}/bytes?n=${20 * 2 ** 20}`, pause: 2 }))
    expect(grew).toBeLessThan(15 * 2 ** 20)
  })
})

test.each(ways)('a thousand events by %s arrive in order', async (how) => {
  await withClient(async (_, client) => {
    const { text } = await client.run<{ text: string }>('read', { how, url: `${server.origin}/sse?n=1000&every=1` })
    expect(text).toBe(Array.from({ length: 1_000 }, (_, n) => `data: ${n}\n\n`).join(''))
  })
})

test('a secret is in no thread: neither in its heap, nor its environment, nor its log', async () => {
  const secret = `secret-${'9f27'.repeat(8)}`
  await using pool = openPool({ origins: { [server.origin]: { headers: { authorization: `Bearer ${secret}` } } } })
  const client = await pool.client()
  for (const how of ways) await client.run('upload', { how, url: `${server.origin}/upload`, bytes: 1_000 })
  const { env, file } = await client.run<{ env: object; file: string }>('secrets')
  const snapshot = await readFile(file, 'latin1')
  await rm(file)
  const found = { heap: snapshot.includes(secret), env: JSON.stringify(env).includes(secret), log: client.lines.join('').includes(secret) }
  expect({ ...found, isSnapshot: snapshot.includes('troupe') }).toEqual({ heap: false, env: false, log: false, isSnapshot: true })
})
