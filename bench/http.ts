import { fork } from 'node:child_process'
import { once } from 'node:events'
import { cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { createHttpPool, type HttpPool } from '../src/services/http.ts'
import { httpDefaults } from '../src/services/http-policy.ts'
import { startClient } from './http-client.ts'
import { type Figure, say } from './report.ts'
import { median, spread } from './statistics.ts'

type HttpSizes = { readonly seconds: number; readonly rounds: number }
type Way = 'fetch' | 'http' | 'request'

const concurrencies = [1, 16, 64] as const
const server = fileURLToPath(new URL('http-server.ts', import.meta.url))
const size = 50 * 2 ** 20

/** Measures the shared pool beside one private undici Agent in each thread: the same server, by turns. */
export async function benchHttp(options: { readonly seconds?: string; readonly rounds?: string }): Promise<Figure[]> {
  const { seconds, rounds } = { seconds: Number(options.seconds), rounds: Number(options.rounds) }
  say(`${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)} before it began; Node ${process.versions.node}`)
  const child = fork(server, { execArgv: [] })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  const origin = `http://127.0.0.1:${port}`
  const pool = createHttpPool({ settings: { ...httpDefaults, connections: 64 }, emit() {} })
  try {
    return [
      ...(await throughput(pool, origin, { seconds, rounds })),
      ...(await events(pool, origin, rounds)),
      ...(await download(pool, origin, rounds)),
      ...(await sockets(origin)),
    ]
  } finally {
    await pool.close()
    child.kill()
  }
}

async function throughput(pool: HttpPool, origin: string, { seconds, rounds }: HttpSizes): Promise<Figure[]> {
  const figures: Figure[] = []
  const ways: [ours: Way, theirs: Way, aim: number | undefined][] = [
    ['fetch', 'fetch', 0.9],
    ['http', 'request', 0.8],
    ['request', 'request', undefined],
  ]
  for (const [ours, theirs, aim] of ways) {
    for (const concurrency of concurrencies) {
      say(`${ours} at ${concurrency}`)
      await using shared = await startClient(pool)
      await using own = await startClient(undefined)
      const url = `${origin}/small`
      const pairs: [number, number][] = []
      for (let round = 0; round <= rounds; round += 1) {
        const pair: [number, number] = [
          await shared.run<number>('load', { how: ours, url, concurrency, ms: (seconds * 1_000) / rounds }),
          await own.run<number>('load', { how: theirs, url, concurrency, ms: (seconds * 1_000) / rounds }),
        ]
        if (round > 0) pairs.push(pair) // the first warms up
      }
      const ratios = pairs.map(([pooled, direct]) => pooled / direct)
      const name = `${nameOf(ours)} at ${concurrency}, against a private ${theirs}`
      const rates = `${Math.round(median(pairs.map(([pooled]) => pooled)))} to ${Math.round(median(pairs.map(([, direct]) => direct)))} requests/s`
      const isAimed = aim !== undefined && (ours === 'http' || concurrency >= 16)
      figures.push({
        name,
        value: median(ratios),
        unit: 'times',
        note: `${rates}; ${spread(ratios)}`,
        ...(isAimed && { aim: { min: aim } }),
      })
    }
  }
  return figures
}

async function events(pool: HttpPool, origin: string, rounds: number): Promise<Figure[]> {
  say('1,000 server-sent events, one a millisecond')
  await using shared = await startClient(pool)
  await using own = await startClient(undefined)
  const url = `${origin}/events?n=1000`
  const late: number[] = []
  const ratios: number[] = []
  for (let round = 0; round <= rounds; round += 1) {
    const ours = await shared.run<{ first: number; total: number }>('stream', { how: 'fetch', url })
    const direct = await own.run<{ first: number; total: number }>('stream', { how: 'fetch', url })
    if (round === 0) continue
    late.push(ours.first - direct.first)
    ratios.push(ours.total / direct.total)
  }
  return [
    { name: 'first event, later than by a private fetch', value: median(late), unit: 'ms', aim: { max: 1 }, note: spread(late) },
    { name: '1,000 events, against a private fetch', value: median(ratios), unit: 'times', aim: { max: 1.05 }, note: spread(ratios) },
  ]
}

async function download(pool: HttpPool, origin: string, rounds: number): Promise<Figure[]> {
  say('50 MB')
  await using shared = await startClient(pool)
  await using own = await startClient(undefined)
  const figures: Figure[] = []
  const ways: [ours: Way, theirs: Way, aim?: number][] = [
    ['fetch', 'fetch', 0.6],
    ['http', 'request'],
  ]
  for (const [ours, theirs, aim] of ways) {
    const url = `${origin}/large?n=${size}`
    const pairs: [number, number][] = []
    for (let round = 0; round <= rounds; round += 1) {
      const pair: [number, number] = [
        size / 1_000 / (await shared.run<{ total: number }>('stream', { how: ours, url })).total,
        size / 1_000 / (await own.run<{ total: number }>('stream', { how: theirs, url })).total,
      ]
      if (round > 0) pairs.push(pair)
    }
    const ratios = pairs.map(([pooled, direct]) => pooled / direct)
    const rates = `${Math.round(median(pairs.map(([pooled]) => pooled)))} to ${Math.round(median(pairs.map(([, direct]) => direct)))} MB/s`
    const name = `50 MB by ${nameOf(ours)}, against a private ${theirs}`
    figures.push({
      name,
      value: median(ratios),
      unit: 'times',
      note: `${rates}; ${spread(ratios)}`,
      ...(aim !== undefined && { aim: { min: aim } }),
    })
  }
  return figures
}

async function sockets(origin: string): Promise<Figure[]> {
  say('50 actors with 8 requests at a time')
  const connections = 16
  const pool = createHttpPool({ settings: { ...httpDefaults, connections }, emit() {} })
  const clients = await Promise.all(Array.from({ length: 50 }, () => startClient(pool)))
  await fetch(`${origin}/reset`)
  await Promise.all(clients.map((client) => client.run('load', { how: 'http', url: `${origin}/small`, concurrency: 8, ms: 2_000 })))
  const { most } = (await (await fetch(`${origin}/seen`)).json()) as { most: number }
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()))
  await pool.close()
  const note = `${connections} connections allowed; the bench's own is not counted`
  return [{ name: 'sockets of 50 actors', value: most, unit: 'sockets', aim: { max: connections }, note }]
}

function nameOf(way: Way): string {
  return way === 'http' ? 'ctx.http' : way === 'request' ? "undici's request" : 'fetch'
}
