import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createPace } from '../../../actors/lib/markets/polite.ts'
import { createPolymarket, polymarketOrigins } from '../../../actors/lib/markets/polymarket.ts'
import { allPages } from '../../../actors/lib/markets/source.ts'
import { now, rawMarket } from './build.ts'

type Reply = { status?: number; body?: unknown; text?: string; headers?: Record<string, string> }

/** An exchange that answers from a list; it notes what it was asked, and nobody really waits. */
function exchange(replies: readonly (Reply | Error)[]) {
  const asked: string[] = []
  const waits: number[] = []
  const source = createPolymarket({
    now: () => now,
    wait: async (ms) => void waits.push(ms),
    async fetch(url, init) {
      asked.push(`${init?.method ?? 'GET'} ${url.replace(/^https:\/\/[^/]+/, '')}${init?.body ? ` ${init.body}` : ''}`)
      const reply = replies[asked.length - 1] ?? { status: 500 }
      if (reply instanceof Error) throw reply
      return new Response(reply.text ?? JSON.stringify(reply.body ?? null), { status: reply.status ?? 200, headers: reply.headers ?? {} })
    },
  })
  return { source, asked, waits }
}

const level = (price: string) => [{ price, size: '10' }]
const rawBook = (token: string) => ({
  asset_id: token,
  timestamp: '1',
  bids: level('0.4'),
  asks: level('0.5'),
  tick_size: '0.01',
  min_order_size: '5',
})

describe('the live source', () => {
  test('asks for pages as the exchange wants it, and stops where the list goes round', async () => {
    const pages = [
      { body: { markets: [rawMarket(), rawMarket({ id: '102' })], next_cursor: 'two' } },
      { body: { markets: [rawMarket({ id: '103' })], next_cursor: 'three' } },
      { body: { markets: [rawMarket()], next_cursor: 'four' } },
    ]
    const { source, asked } = exchange(pages)
    const ids: string[] = []
    for await (const page of allPages(source.markets, { most: 20, limit: 1_000 })) ids.push(...page.items.map(({ id }) => id))
    expect(ids).toEqual(['101', '102', '103'])
    expect(asked.slice(0, 2)).toEqual([
      'GET /markets/keyset?closed=false&order=volume24hr&ascending=false&limit=100',
      'GET /markets/keyset?closed=false&order=volume24hr&ascending=false&limit=100&after_cursor=two',
    ])
    expect(asked).toHaveLength(3)
  })

  test('takes books by the hundred and only those it asked for', async () => {
    const tokens = Array.from({ length: 101 }, (_, at) => `${at + 1}`)
    const { source, asked } = exchange([{ body: [rawBook('1'), rawBook('999'), { asset_id: '2' }, 'junk'] }, { body: [rawBook('101')] }])
    const books = await source.books(tokens)
    expect([[...books.keys()], asked.length, asked[1]]).toEqual([['1', '101'], 2, 'POST /books [{"token_id":"101"}]'])
    expect(books.get('1')).toMatchObject({ source: 'polymarket', seen: now, depth: 'full' })
  })

  test('waits between requests, and longer when it is told to', async () => {
    const { source, waits, asked } = exchange([
      { status: 429, headers: { 'retry-after': '7' } },
      { status: 503 },
      { body: rawMarket() },
      { status: 404 },
    ])
    expect([(await source.market('101'))?.id, await source.market('404')]).toEqual(['101', undefined])
    expect([waits, asked.length]).toEqual([[200, 7_000, 200, 2_000, 200, 200], 4])
  })

  test('keeps one pace with another that is opened beside it, also for how it is', async () => {
    const waits: number[] = []
    const pace = createPace(200, async (ms) => void waits.push(ms))
    const fetch = async () => new Response(JSON.stringify({ markets: [rawMarket()] }))
    const [one, other] = [createPolymarket({ fetch, pace }), createPolymarket({ fetch, pace })]
    await Promise.all([one.markets(), other.markets(), other.health()])
    expect(waits).toEqual([200, 200, 200])
  })

  test('fails with a reason when the exchange does not answer, refuses, or answers something else', async () => {
    const failure = async (replies: (Reply | Error)[]) => {
      const { source, asked } = exchange(replies)
      return [await source.markets().catch(({ code, message }) => `${code} ${message}`), asked.length]
    }
    const origin = `SOURCE_FAILED ${polymarketOrigins[0]}/markets/keyset:`
    expect([
      await failure([new TypeError('fetch failed'), new TypeError('fetch failed'), new TypeError('fetch failed')]),
      await failure([{ status: 451 }]),
      await failure([{ status: 422, body: { error: 'offset is not allowed' } }]),
      await failure([{ text: '<html>' }]),
      await failure([{ body: { error: 'no' } }]),
    ]).toEqual([
      [`${origin} TypeError: fetch failed`, 3],
      [`${origin} status 451 (not available from here)`, 1],
      [`${origin} status 422`, 1],
      [expect.stringContaining(`${origin} Unexpected token`), 1],
      ['SOURCE_FAILED /markets/keyset: the answer is not what is documented', 1],
    ])
  })

  test('keeps an endless answer out of memory, and ends with its signal', async () => {
    const endless = () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) }))
    const source = createPolymarket({ fetch: async () => endless(), most: 1_000_000, spacing: 0 })
    await expect(source.markets()).rejects.toMatchObject({
      code: 'SOURCE_FAILED',
      message: expect.stringContaining('more than 1000000 bytes'),
    })
    const silent = createPolymarket({
      fetch: async (_, init) => await setTimeout(60_000, new Response(), { signal: init?.signal as AbortSignal }),
      spacing: 0,
    })
    const given = new AbortController()
    const asked = silent.markets({ signal: given.signal })
    given.abort(new Error('stopped'))
    await expect(asked).rejects.toThrow('stopped')
  })

  test('reads histories, searches, and says how it is', async () => {
    const { source, asked } = exchange([
      { body: { history: [{ t: 1_700_000_000, p: 0.5 }] } },
      { body: { events: [{ markets: [rawMarket(), rawMarket({ id: '102', closed: true }), { id: 'x' }] }] } },
      { body: { markets: [rawMarket()] } },
      { status: 503 },
    ])
    expect([
      await source.history('1011', { interval: '1w' }),
      (await source.search('rain & snow')).map(({ id }) => id),
      await source.health(),
      (await source.health()).ok,
    ]).toEqual([[{ at: 1_700_000_000_000, price: 0.5 }], ['101'], { ok: true, detail: 'live, read only' }, false])
    // How it is, nobody asks twice.
    expect(asked).toHaveLength(4)
    expect(asked.slice(0, 2)).toEqual([
      'GET /prices-history?market=1011&interval=1w&fidelity=60',
      'GET /public-search?q=rain+%26+snow&limit_per_type=20&events_status=active',
    ])
  })
})
