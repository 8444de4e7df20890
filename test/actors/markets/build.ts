import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Book, parseBook } from '../../../actors/lib/markets/book.ts'
import type { Order } from '../../../actors/lib/markets/broker.ts'
import { parseMarket } from '../../../actors/lib/markets/gamma.ts'
import type { Limits } from '../../../actors/lib/markets/limits.ts'
import type { Market } from '../../../actors/lib/markets/market.ts'
import type { Opinion, View } from '../../../actors/lib/markets/strategies/strategy.ts'
import { recorded } from '../../recorded.ts'

export const now = Date.UTC(2026, 6, 25, 12)

/** A market of the catalogue as it is sent, good for trading unless changed. */
export function rawMarket(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    id: '101',
    conditionId: '0xabc',
    slug: 'will-it-rain',
    question: 'Will it rain?',
    description: 'It rains when it rains.',
    outcomes: '["Yes", "No"]',
    outcomePrices: '["0.405", "0.595"]',
    clobTokenIds: '["1011", "1012"]',
    bestBid: 0.4,
    bestAsk: 0.41,
    orderPriceMinTickSize: 0.01,
    orderMinSize: 5,
    volume24hr: 50_000,
    volumeNum: 900_000,
    liquidityNum: 20_000,
    endDate: '2026-08-25T12:00:00Z',
    updatedAt: '2026-07-25T11:59:00Z',
    active: true,
    closed: false,
    archived: false,
    acceptingOrders: true,
    enableOrderBook: true,
    negRisk: false,
    negRiskOther: false,
    ...changes,
  }
}

export function market(changes: Readonly<Record<string, unknown>> = {}): Market {
  const read = parseMarket(rawMarket(changes), 'simulated')
  if (read === undefined) throw new Error('not a market')
  return read
}

type Levels = readonly (readonly [price: string, size: string])[]

/** A book of the exchange as it is read; its levels may come in any order. */
export function book(token: string, sides: { bids?: Levels; asks?: Levels; tick?: string; at?: number }): Book {
  const levels = (side: Levels = []) => side.map(([price, size]) => ({ price, size }))
  const read = parseBook(
    {
      asset_id: token,
      timestamp: String(sides.at ?? now),
      bids: levels(sides.bids),
      asks: levels(sides.asks),
      tick_size: sides.tick ?? '0.01',
    },
    { source: 'simulated', seen: now },
  )
  if (!read.ok) throw new Error(read.reason)
  return read.book
}

export function view(
  books: readonly Book[],
  changes: Partial<View['policy']> = {},
  opinions: Readonly<Record<string, Opinion>> = {},
): View {
  return {
    books: new Map(books.map((one) => [one.token, one])),
    opinions: new Map(Object.entries(opinions)),
    policy: { minEdge: 0.1, minConfidence: 0.7, stake: 5_000_000, ...changes },
    trust: { now, maxAge: 30_000, drift: 500 },
  }
}

export const limits: Limits = {
  tradingEnabled: true,
  maxDailyExposure: 20_000_000,
  maxPositionSize: 5_000_000,
  minEdge: 0.1,
  riskMode: 'normal',
  scanInterval: 240 * 60_000,
  coordinator: 'coordinator-main',
}

export function order(changes: Partial<Order> = {}): Order {
  return {
    ...{ key: 'order-1', at: now, way: 'buy', marketId: '101', token: '1011', side: 'YES', negRisk: false, shares: 1_000 },
    ...{ limit: 5_000, budget: 20_000_000, fees: { rate: 0, exponent: 1 }, whole: false },
    ...changes,
  }
}

/** Everything that was recorded of lists of markets, as it was sent. */
export function recordedMarkets(): unknown[] {
  const snapshots = recorded('polymarket-gamma-2025-05/snapshots') ?? ''
  const pages = readdirSync(snapshots).map(
    (name) => JSON.parse(gunzipSync(readFileSync(join(snapshots, name))).toString('utf8')) as unknown[],
  )
  return [...pages, readRecorded('polymarket_markets.json'), readRecorded('polymarket-market.json')].flat()
}

/** One file of the newer recordings. */
export function readRecorded(name: string): unknown {
  return JSON.parse(readFileSync(recorded(`pmvl-recorded-2026/${name}`) ?? '', 'utf8'))
}

/** A recorded book; its market of then had the fees that the test states. */
export function recordedBook(name: string): Book {
  const read = parseBook(readRecorded(name), { source: 'replay', seen: now })
  if (!read.ok) throw new Error(read.reason)
  return read.book
}
