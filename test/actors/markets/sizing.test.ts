import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Limits, readLimits, risk } from '../../../actors/lib/markets/limits.ts'
import { kellyFraction, type Stake, sizeOf } from '../../../actors/lib/markets/sizing.ts'
import { walk } from '../../../actors/lib/markets/walk.ts'
import { runs } from '../../seed.ts'
import { book, limits } from './build.ts'

const deep = book('1', {
  asks: [
    ['0.40', '1000'],
    ['0.45', '1000'],
  ],
})
const used = { today: 0, market: 0, event: 0 }
const noFees = { rate: 0, exponent: 1 }

function size(changes: Partial<Stake> = {}, limited: Partial<Limits> = {}) {
  return sizeOf({ probability: 0.6, book: deep, fees: noFees, bankroll: 30_300_000, used, ...changes, limits: { ...limits, ...limited } })
}

test('the Kelly stake is the edge over what can be won', () => {
  expect([
    kellyFraction(0.6, 0.4),
    kellyFraction(0.4, 0.4),
    kellyFraction(0.3, 0.4),
    kellyFraction(0.6, 1),
    kellyFraction(Number.NaN, 0.4),
  ]).toEqual([expect.closeTo(1 / 3, 12), ...[0, 0, 0, 0]])
})

test('takes a part of the Kelly stake on what can be spent, with every fee', () => {
  // A quarter of a third of 30.30 USD is 2.525 USD, 6.31 shares at 0.40; half of it in the conservative mode is too few shares.
  expect(size()).toMatchObject({ kind: 'buy', shares: 631, limit: 4_000, budget: 2_524_000, edge: expect.closeTo(0.2, 9) })
  expect(size({}, { riskMode: 'aggressive' })).toMatchObject({ shares: 1_250, budget: 5_000_000 })
  expect(size({}, { riskMode: 'conservative' })).toMatchObject({ kind: 'none', reason: 'below_minimum' })
  // A share costs 0.40 + 0.04 × 0.24 = 0.4096; a quarter of (0.6 − 0.4096) / 0.5904 of 30.30 USD is 2.4428 USD.
  expect(size({ fees: { rate: 40_000, exponent: 1 } })).toMatchObject({ kind: 'buy', shares: 596, budget: 2_441_220 })
})

test('stays under every cap at the worst price of its walk', () => {
  const rich = { bankroll: 1_000_000_000 }
  const thin = book('1', {
    asks: [
      ['0.40', '6'],
      ['0.45', '1000'],
    ],
  })
  expect(size(rich)).toMatchObject({ shares: 1_250, budget: 5_000_000 })
  // 11.11 shares at 0.45 are 4.9995: the cap counts each share as dear as the last.
  expect(size({ ...rich, book: thin })).toMatchObject({ shares: 1_111, limit: 4_500, budget: 4_999_500 })
  expect(size({ ...rich, used: { ...used, today: 17_000_000 } })).toMatchObject({ shares: 750, budget: 3_000_000 })
  expect(size({ ...rich, used: { today: 0, market: 0, event: 2_000_000 } })).toMatchObject({ shares: 750 })
  expect(size({ ...rich, book: book('1', { asks: [['0.40', '6.5']] }) })).toMatchObject({ shares: 650 })
})

test('buys no share that is not worth it by itself, however cheap the first ones are', () => {
  const steep = book('1', {
    asks: [
      ['0.20', '6'],
      ['0.51', '1000'],
    ],
  })
  expect(size({ bankroll: 1_000_000_000, book: steep })).toMatchObject({ kind: 'buy', shares: 600, limit: 2_000 })
})

test('says why it buys nothing', () => {
  const reasons = [
    size({}, { tradingEnabled: false }),
    size({ probability: Number.NaN }),
    size({ probability: 1 }),
    size({ book: book('1', { asks: [] }) }),
    size({ book: book('1', { asks: [['0.40', '4.99']] }) }),
    size({ probability: 0.4 }),
    size({ probability: 0.49 }),
    size({ used: { today: 0, market: 5_000_000, event: 5_000_000 } }),
    size({ used: { today: 0, market: 0, event: 5_000_000 } }),
    size({ used: { today: 20_000_000, market: 0, event: 0 } }),
    size({ bankroll: 0 }),
    size({ bankroll: 1_000_000 }),
    size({}, { maxPositionSize: 0 }),
  ].map((one) => (one.kind === 'none' ? one.reason : 'buy'))
  expect(reasons).toEqual([
    ...[
      'trading_disabled',
      'bad_probability',
      'bad_probability',
      'no_depth',
      'no_depth',
      'no_edge',
      'edge_below_threshold',
      'max_position_size',
    ],
    ...['max_event_exposure', 'max_daily_exposure', 'no_cash', 'below_minimum', 'max_position_size'],
  ])
})

const money = fc.integer({ min: 0, max: 100_000_000 })
const stakes = fc.record({
  probability: fc.double({ min: 0, max: 1 }),
  asks: fc.uniqueArray(fc.record({ price: fc.integer({ min: 1, max: 9_999 }), shares: fc.integer({ min: 1, max: 1_000_000 }) }), {
    selector: ({ price }) => price,
    maxLength: 8,
  }),
  rate: fc.integer({ min: 0, max: 100_000 }),
  bankroll: money,
  cap: money,
  daily: money,
  minEdge: fc.double({ min: 0, max: 0.3, noNaN: true }),
  mode: fc.constantFrom('conservative' as const, 'normal' as const, 'aggressive' as const),
  today: money,
  market: money,
  event: money,
})

test('no size is above a cap, above its Kelly stake, or without an edge', () => {
  let bought = 0
  fc.assert(
    fc.property(stakes, ({ probability, asks, rate, bankroll, cap, daily, minEdge, mode, ...taken }) => {
      const sorted = asks.toSorted((one, other) => one.price - other.price)
      const fees = { rate, exponent: 1 }
      const decided = sizeOf({
        ...{ probability, book: { asks: sorted, minShares: 500 }, fees, bankroll, used: taken },
        limits: { ...limits, maxPositionSize: cap, maxDailyExposure: daily, minEdge, riskMode: mode },
      })
      if (decided.kind === 'none') return
      bought++
      const got = walk(sorted, decided.shares, 'buy', fees, decided.limit)
      const paid = got.cost + got.fee
      const each = paid / decided.shares / 10_000
      expect(got.left).toBe(0)
      expect(paid).toBeLessThanOrEqual(decided.budget)
      expect(decided.budget).toBeLessThanOrEqual(Math.min(bankroll, cap - taken.market, cap - taken.event, daily - taken.today))
      expect(probability - each).toBeGreaterThanOrEqual(minEdge - 1e-3 / decided.shares)
      expect(probability - decided.limit / 10_000).toBeGreaterThanOrEqual(minEdge)
      expect(paid).toBeLessThanOrEqual(risk[mode].kelly * kellyFraction(probability, each) * bankroll)
      expect(decided.shares).toBeGreaterThanOrEqual(500)
    }),
    runs(2_000),
  )
  expect(bought).toBeGreaterThan(0)
})

test('a better probability or a larger bankroll never buys less', () => {
  fc.assert(
    fc.property(fc.integer({ min: 50, max: 98 }), fc.integer({ min: 1, max: 500 }), (percent, usd) => {
      const shares = (probability: number, bankroll: number) => {
        const decided = size({ probability, bankroll: bankroll * 1_000_000 })
        return decided.kind === 'buy' ? decided.shares : 0
      }
      expect(shares((percent + 1) / 100, usd)).toBeGreaterThanOrEqual(shares(percent / 100, usd))
      expect(shares(percent / 100, usd + 1)).toBeGreaterThanOrEqual(shares(percent / 100, usd))
    }),
    runs(100),
  )
})

test('limits are read from the rows of system_config, and nothing is traded when one that guards money is missing or odd', () => {
  const rows = Object.entries({
    trading_enabled: true,
    max_daily_exposure: 20,
    max_position_size: 5,
    min_edge_threshold: 0.1,
    risk_mode: 'normal',
  })
  const listed = rows.map(([key, value]) => ({ key, value, description: null }))
  const changed = (key: string, value: unknown) => readLimits(listed.map((row) => (row.key === key ? { ...row, value } : row)))
  expect(readLimits(listed)).toEqual(limits)
  expect([
    readLimits(listed.slice(1)),
    readLimits([]),
    changed('max_position_size', '5'),
    changed('max_daily_exposure', -1),
    changed('risk_mode', 'yolo'),
    changed('trading_enabled', 'false'),
  ]).toEqual(Array(6).fill(undefined))
})
