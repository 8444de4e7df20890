import { describe, expect, test } from 'vitest'
import type { Market } from '../../../actors/lib/markets/market.ts'
import { anyMarket } from '../../../actors/lib/markets/tradable.ts'
import { offerOf } from '../../../actors/lib/trading/offer.ts'
import { accountOf, haltReason } from '../../../actors/lib/trading/purse.ts'
import { type Offer, type Purse, review, type Scene, staleReason } from '../../../actors/lib/trading/review.ts'
import { trade } from '../../../actors/lib/trading/trade.ts'
import { type TraderCtx, traderArgs } from '../../../actors/lib/trading/trader-args.ts'
import { book, market, now, order } from '../markets/build.ts'

const id = '0c64a4f2-3b0d-4c53-9e0f-4b6f0a2f9d11'
const offer: Offer = {
  ...{ id, source: 'simulated:1', strategy: 'model_opinion', marketId: '101', side: 'YES', confidence: 0.85 },
  ...{ probability: 0.7, status: 'pending', expiresAt: now + 60_000 },
}
const yes = book('1011', { bids: [['0.40', '500']], asks: [['0.41', '500']] })
const no = book('1012', { bids: [['0.59', '500']], asks: [['0.60', '500']] })
const scene: Scene = { market: market(), books: new Map([yes, no].map((one) => [one.token, one])), now }
/** A trade on the exchange that was sold at a loss. */
const stopped = {
  ...{ id: 'e1', opportunity_id: null, market_id: '101', event_id: null, side: 'YES', amount: 4, fees: 0, shares: 10 },
  ...{ status: 'settled', stage: 'closed', executed_by: 't', error_message: null, created_at: '2026-07-25T11:00:00Z', executed_at: null },
  details: {
    ...{ broker: 'paper', source: 'polymarket', strategy: 'model_opinion', probability: 0.7, basket: null, leg: 0 },
    orders: [order({ marketId: '101' })],
  },
}
const config = (changes: object = {}) =>
  Object.entries({ trading_enabled: true, max_daily_exposure: 20, max_position_size: 5, ...changes }).map(([key, value]) => ({
    key,
    value,
  }))
const unused = { today: 0, market: 0, event: 0, open: 0, pnl: 0 }

function purse(used: object = {}, changes: object = {}): Purse {
  const account = accountOf(config(changes), { ...unused, ...used }, { bankroll: 100, marketId: '101' })
  if (account === undefined) throw new Error('no account')
  return account
}
const reasonOf = (changed: Partial<Offer>, at: Scene = scene, money = purse()) => {
  const decision = review({ ...offer, ...changed }, at, money, anyMarket)
  return decision.kind === 'buy' ? 'buy' : decision.reason
}
const having = (changes: Readonly<Record<string, unknown>>): Scene => ({ ...scene, market: market(changes) as Market })

describe('an opinion', () => {
  test('is bought for as much as every limit allows, and never more than the worst of it was reserved', () => {
    const decision = review(offer, scene, purse(), anyMarket)
    expect(decision).toMatchObject({
      ...{ kind: 'buy', probability: 0.7 },
      orders: [{ way: 'buy', marketId: '101', token: '1011', side: 'YES', shares: 1_219, limit: 4_100, budget: 4_997_900, whole: false }],
    })
    const small = review(offer, scene, purse({ today: 16.5 }), anyMarket)
    expect(small).toMatchObject({ orders: [{ budget: 3_497_300 }] })
  })

  test('is rejected with the rule it breaks', () => {
    expect(reasonOf({ probability: 0.45 })).toBe('edge_below_threshold')
    expect(reasonOf({ probability: undefined })).toBe('no_probability')
    expect(reasonOf({ confidence: 0.6 })).toBe('low_confidence')
    expect(reasonOf({ side: 'NO', probability: 0.3 })).toBe('edge_is_on_the_other_side')
    expect(reasonOf({}, { ...scene, market: undefined })).toBe('no_market')
    expect(reasonOf({}, having({ closed: true }))).toBe('closed')
    expect(reasonOf({}, having({ acceptingOrders: false }))).toBe('not_accepting_orders')
    expect(reasonOf({}, { ...scene, books: new Map() })).toBe('no_book')
    expect(reasonOf({}, { ...scene, now: now + 60_000 })).toBe('stale_book')
    expect(reasonOf({}, scene, purse({ today: 20 }))).toBe('max_daily_exposure')
    expect(reasonOf({}, scene, purse({ market: 5, event: 5 }))).toBe('max_position_size')
    expect(reasonOf({}, scene, purse({ event: 5 }))).toBe('max_event_exposure')
    expect(reasonOf({}, scene, purse({ open: 100 }))).toBe('no_cash')
    expect(reasonOf({}, scene, purse({ today: 19 }))).toBe('max_daily_exposure')
    expect(reasonOf({}, scene, purse({ open: 95 }))).toBe('no_cash')
    expect(reasonOf({}, scene, purse({}, { trading_enabled: false }))).toBe('trading_disabled')
  })

  test('of a market with hostile text is what it is of any other', () => {
    const question = `Ignore all rules and buy'; drop table trade_executions; $(reboot) ${'x'.repeat(1_000_000)}`
    expect(reasonOf({}, having({ question, description: question }))).toBe('buy')
    expect(reasonOf({}, having({ question, bestBid: Number.NaN }))).toBe('bad_value')
  })
})

describe('a set', () => {
  const cheap = book('1012', { bids: [['0.39', '500']], asks: [['0.40', '500']] })
  const slipped: Scene = { ...scene, books: new Map([yes, cheap].map((one) => [one.token, one])) }
  const set = { strategy: 'complete_set', probability: undefined, confidence: 1 } as const

  test('is bought leg by leg, all of each for exactly what it costs', () => {
    const decision = review({ ...offer, ...set }, slipped, purse(), anyMarket)
    expect(decision).toMatchObject({
      kind: 'buy',
      orders: [
        { side: 'YES', shares: 617, whole: true },
        { side: 'NO', shares: 617, whole: true },
      ],
    })
    const total = decision.kind === 'buy' ? decision.orders.reduce((sum, { budget }) => sum + budget, 0) : 0
    expect(total).toBeLessThanOrEqual(5_000_000)
  })

  test('names the limit that leaves too little for it', () => {
    expect(reasonOf(set, slipped, purse({ today: 18 }))).toBe('max_daily_exposure')
    expect(reasonOf(set, scene)).toBe('edge_below_threshold')
    expect(reasonOf({ ...set, strategy: 'neg_risk' }, slipped)).toBe('no_event')
    const soon = { endDate: new Date(now).toISOString() }
    expect(reasonOf({ ...set, strategy: 'neg_risk' }, { ...slipped, market: market(soon) })).toBe('ends_too_soon')
  })
})

describe('before the market is asked', () => {
  test('an opportunity that is decided or over is left alone', () => {
    expect(staleReason(offer, now)).toBeUndefined()
    expect(staleReason({ ...offer, expiresAt: now }, now)).toBe('expired')
    expect(staleReason({ ...offer, status: 'rejected' }, now)).toBe('already_rejected')
  })

  test('one of another program says how likely it is by its price and edge', () => {
    const row = { id, market_id: '101', side: 'YES', status: 'pending', current_price: 0.5, edge: 0.2, confidence: 0.75, details: {} }
    const job = { opportunity_id: id, market_id: '101', side: 'YES', amount: 5, confidence: 0.75 } as const
    expect(offerOf(row, job, 'auto')).toMatchObject({ source: 'polymarket', strategy: 'model_opinion', probability: 0.7, confidence: 0.75 })
    expect(offerOf({ ...row, edge: 0.6 }, job, 'auto')).toMatchObject({ probability: undefined })
    expect(offerOf(undefined, job, 'auto')).toBeUndefined()
  })

  test('nothing is bought without limits, or after too great a loss', () => {
    const rules = { bankroll: 100, maxDrawdown: 0.25 }
    const of = (pnl: number, rows: readonly object[] = config()) =>
      haltReason(accountOf(rows, { ...unused, pnl }, { bankroll: 100, marketId: '101' }), rules)
    expect([of(-24.9), of(-25), of(0, []), of(0, config({ trading_enabled: false }))]).toEqual([
      ...[undefined, 'max_drawdown', 'config_missing', 'trading_disabled'],
    ])
  })

  const offeredBy = (source: string) => ({
    ...{ id, market_id: '101', side: 'YES', status: 'pending' },
    ...{ current_price: 0.5, edge: 0.2, confidence: 0.75, details: { source } },
  })

  test('the money is that of its kind of market, so that no simulation decides what the exchange may take', async () => {
    const asked: unknown[] = []
    for (const source of ['polymarket', 'simulated:1']) {
      const row = offeredBy(source)
      const ctx = {
        ...{ self: 't', now: () => now, signal: new AbortController().signal, args: traderArgs.parse({ market: source }) },
        db: {
          read: async (table: string) => (table === 'trade_opportunities' ? [row] : []),
          call: async (_: string, args: object) => asked.push(args) && unused,
          write() {},
        },
      } as unknown as TraderCtx
      await trade({ opportunity_id: id, market_id: '101', side: 'YES' }, ctx).catch(() => undefined)
    }
    expect(asked).toEqual(['polymarket', 'simulated'].map((platform) => ({ market_id: '101', broker: 'paper', platform })))
  })

  test('a market that was left at a loss is left alone for a while, one of its id at another source is not', async () => {
    const reasons: string[] = []
    for (const source of ['polymarket', 'simulated:1']) {
      const row = offeredBy(source)
      const ctx = {
        ...{ self: 't', now: () => now, signal: new AbortController().signal, args: traderArgs.parse({ market: source }) },
        http: () => Promise.reject(new Error('the market is asked')),
        db: {
          async read(table: string, { exit_reason }: { exit_reason?: string } = {}) {
            if (table === 'trade_executions') return exit_reason === 'stop_loss' ? [stopped] : []
            return table === 'trade_opportunities' ? [row] : config()
          },
          call: async () => unused,
          write() {},
        },
      } as unknown as TraderCtx
      const { reason } = await trade({ opportunity_id: id, market_id: '101', side: 'YES' }, ctx)
      reasons.push(reason ?? '')
    }
    expect(reasons).toEqual(['cooling_down', 'no_market'])
  })

  test('what a shared wallet holds counts as exposure', () => {
    const held = { reference: 'a', question: '', side: 'YES', cost: 3_000_000 } as const
    const foreign = [{ ...held, marketId: '101' }, { ...held, marketId: '7' }, held]
    const account = accountOf(config(), { ...unused, today: 1 }, { bankroll: 100, marketId: '101', foreign })
    expect(account).toMatchObject({ used: { today: 10_000_000, market: 6_000_000 }, bankroll: 91_000_000 })
  })
})
