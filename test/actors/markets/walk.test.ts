import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bookDoubt, booksAgree, type Level, mirror, parseBook } from '../../../actors/lib/markets/book.ts'
import { feeOf, readFees } from '../../../actors/lib/markets/fees.ts'
import { afterFills, depthOf, type Way, walk } from '../../../actors/lib/markets/walk.ts'
import { hasRecorded } from '../../recorded.ts'
import { runs } from '../../seed.ts'
import { book, now, readRecorded, recordedBook } from './build.ts'

/**
 * Ten walks through the two recorded books. Neither market had fees; the schedules are stated here. The expected numbers were not made by
 * the code under test but by exact fractions, level by level: cost is price × shares, a level's fee is shares × rate × (p(1 − p))^exponent
 * rounded up to 0.00001 USD. Worked by hand for three of them:
 *  2: 100 × 0.07 = 7.00; 100 × 0.04 × 0.07 × 0.93 = 0.2604.
 *  7: 5 × 0.004 = 0.02; 5 × 0.05 × 0.004 × 0.996 = 0.000996, rounded up 0.00100.
 *  9: the one bid: 10,118.15 × 0.001 = 10.11815; × 0.04 × 0.999 = 0.4043212…, rounded up 0.40433; 9,881.85 shares find nobody.
 */
const hormuz = 'polymarket-book.json'
const ethiopia = 'polymarket_book.json'
const table: readonly (readonly [
  file: string,
  way: Way,
  shares: number,
  rate: number,
  exponent: number,
  limit: number | undefined,
  number[],
])[] = [
  [hormuz, 'buy', 100_00, 0, 1, undefined, [100_00, 0, 7_000_000, 0, 1]],
  [hormuz, 'buy', 100_00, 0.04, 1, undefined, [100_00, 0, 7_000_000, 260_400, 1]],
  [hormuz, 'buy', 142_510_87, 0.05, 1, undefined, [142_510_87, 0, 9_975_760_900, 463_872_890, 1]],
  [hormuz, 'buy', 200_000_00, 0.07, 1, undefined, [200_000_00, 0, 14_574_891_300, 945_606_040, 2]],
  [hormuz, 'buy', 700_000_00, 0.04, 1, undefined, [700_000_00, 0, 56_380_642_500, 2_072_073_910, 6]],
  [hormuz, 'sell', 150_000_00, 0.04, 1, undefined, [150_000_00, 0, 8_508_851_700, 320_915_130, 2]],
  [ethiopia, 'buy', 5_00, 0.05, 1, undefined, [5_00, 0, 20_000, 1_000, 1]],
  [ethiopia, 'buy', 8_000_00, 0.072, 1, undefined, [8_000_00, 0, 62_380_060, 4_358_150, 4]],
  [ethiopia, 'sell', 20_000_00, 0.04, 1, undefined, [10_118_15, 9_881_85, 10_118_150, 404_330, 1]],
  [ethiopia, 'buy', 10_000_00, 0.25, 2, 60, [7_698_61, 2_301_39, 40_794_420, 55_180, 2]],
]

test.skipIf(!hasRecorded)('ten walks through the recorded books give what they give by hand', () => {
  const walked = table.map(([file, way, shares, rate, exponent, limit]) => {
    const { bids, asks } = recordedBook(file)
    const got = walk(way === 'buy' ? asks : bids, shares, way, { rate: Math.round(rate * 1e6), exponent }, limit)
    return [got.shares, got.left, got.cost, got.fee, got.fills.length]
  })
  expect(walked).toEqual(table.map((row) => row[6]))
})

test.skipIf(!hasRecorded)('a recorded book begins with its best level although the answer ends with it', () => {
  const { bids, asks, tick, minShares } = recordedBook(hormuz)
  expect([bids[0], asks[0], tick, minShares]).toEqual([{ price: 600, shares: 100_885_17 }, { price: 700, shares: 142_510_87 }, 100, 500])
  expect(parseBook({ ...(readRecorded(hormuz) as object), tick_size: '0.1' }, { source: 'replay', seen: now })).toMatchObject({
    ok: false,
    reason: 'off_tick',
  })
})

describe('a book', () => {
  const read = (changes: object) =>
    parseBook(
      { asset_id: '1', timestamp: '5', bids: [], asks: [], tick_size: '0.01', min_order_size: '5', ...changes },
      { source: 'replay', seen: now },
    )
  const level = (price: unknown, size: unknown) => [{ price, size }]

  test('that makes no sense is refused, an empty or one-sided one is not', () => {
    const reasons = [
      read({}),
      read({ bids: level('0.5', '10') }),
      read({ asks: level('NaN', '10') }),
      read({ asks: level(Number.NaN, '10') }),
      read({ asks: level('0.5', '-1') }),
      read({ asks: level('0.5', '1e9') }),
      read({ asks: level('1.00', '1') }),
      read({ asks: level('0', '1') }),
      read({ asks: level('0.505', '1') }),
      read({ asks: level('0.50001', '1') }),
      read({ bids: level('0.5', '1'), asks: level('0.5', '1') }),
      read({ tick_size: '0' }),
      parseBook(null, { source: 'replay', seen: now }),
    ].map((one) => (one.ok ? 'ok' : one.reason))
    expect(reasons).toEqual([
      ...[
        'ok',
        'ok',
        'malformed',
        'malformed',
        'malformed',
        'malformed',
        'off_tick',
        'off_tick',
        'off_tick',
        'off_tick',
        'crossed',
        'malformed',
      ],
      'malformed',
    ])
  })

  test('loses what is smaller than a hundredth of a share, and levels with nothing in them', () => {
    const one = book('1', {
      asks: [
        ['0.50', '0.009'],
        ['0.51', '10.019'],
        ['0.52', '0'],
      ],
    })
    expect(one.asks).toEqual([{ price: 5_100, shares: 1_001 }])
  })

  test('is doubted when it is old, or far from what the catalogue shows', () => {
    const one = book('1', { bids: [['0.01', '10']], asks: [['0.99', '10']] })
    const doubt = (quote: { bid?: number; ask?: number }, at: number) => bookDoubt(one, quote, { now: at, maxAge: 1_000, drift: 300 })
    expect([
      doubt({}, now),
      doubt({}, now + 1_001),
      doubt({ bid: 9_200, ask: 9_300 }, now),
      doubt({ bid: 4_900, ask: 5_200 }, now),
    ]).toEqual([undefined, 'stale_book', 'off_quote', undefined])
  })

  test('and its mirror are of one moment, another pair may not be', () => {
    const yes = book('1', {
      bids: [['0.40', '10']],
      asks: [
        ['0.42', '7'],
        ['0.45', '9'],
      ],
    })
    const no = mirror(yes, '2')
    expect(no).toMatchObject({
      token: '2',
      bids: [
        { price: 5_800, shares: 700 },
        { price: 5_500, shares: 900 },
      ],
      asks: [{ price: 6_000, shares: 1_000 }],
    })
    expect([
      booksAgree(yes, no),
      booksAgree(yes, book('2', { asks: [['0.57', '1']] })),
      booksAgree(yes, book('2', { bids: [['0.61', '1']] })),
    ]).toEqual([true, false, false])
  })
})

test('fees are those of the schedule, rounded up, and unknown when they cannot be computed', () => {
  expect([
    feeOf({ rate: 40_000, exponent: 1 }, 5_000, 100_00),
    feeOf({ rate: 40_000, exponent: 1 }, 1_000, 100_00),
    feeOf({ rate: 70_000, exponent: 1 }, 9_999, 1),
    feeOf({ rate: 50_000, exponent: 0 }, 5_000, 100),
    feeOf({ rate: 0, exponent: 1 }, 5_000, 100),
    readFees(true, { rate: 0.04, exponent: 1, takerOnly: true }),
    readFees(undefined, undefined),
    readFees(false, null),
    readFees(true, undefined),
    readFees(true, { rate: Number.NaN, exponent: 1 }),
  ]).toEqual([
    ...[1_000_000, 360_000, 10, 50_000, 0],
    ...[{ rate: 40_000, exponent: 1 }, { rate: 0, exponent: 1 }, { rate: 0, exponent: 1 }, 'unknown', 'unknown'],
  ])
})

const level = fc.record({ price: fc.integer({ min: 1, max: 9_999 }), shares: fc.integer({ min: 1, max: 1_000_000_00 }) })
const anyAsks = fc
  .uniqueArray(level, { selector: ({ price }) => price, maxLength: 20 })
  .map((levels) => levels.toSorted((one, other) => one.price - other.price))
const anyFees = fc.record({ rate: fc.integer({ min: 0, max: 100_000 }), exponent: fc.integer({ min: 0, max: 3 }) })
const size = fc.integer({ min: 0, max: 3_000_000_00 })

describe('any walk', () => {
  test('takes what is there up to the size and the limit, and loses no share', () => {
    fc.assert(
      fc.property(
        anyAsks,
        size,
        anyFees,
        fc.option(fc.integer({ min: 1, max: 9_999 }), { nil: undefined }),
        (asks, shares, fees, limit) => {
          const got = walk(asks, shares, 'buy', fees, limit)
          expect(got.shares + got.left).toBe(shares)
          expect(got.shares).toBe(Math.min(shares, depthOf(asks, 'buy', limit)))
          expect(got.fills.every(({ price }) => limit === undefined || price <= limit)).toBe(true)
          expect(got.cost).toBe(got.fills.reduce((sum, { price, shares: part }) => sum + price * part, 0))
          expect(Number.isSafeInteger(got.cost) && Number.isSafeInteger(got.fee)).toBe(true)
        },
      ),
      runs(300),
    )
  })

  test('costs more for more, and more per share', () => {
    fc.assert(
      fc.property(anyAsks, size, size, anyFees, (asks, one, other, fees) => {
        const [small, large] = [Math.min(one, other), Math.max(one, other)].map((shares) => walk(asks, shares, 'buy', fees))
        if (small === undefined || large === undefined) return
        expect(large.cost).toBeGreaterThanOrEqual(small.cost)
        expect(large.fee).toBeGreaterThanOrEqual(small.fee)
        expect(BigInt(large.cost) * BigInt(small.shares)).toBeGreaterThanOrEqual(BigInt(small.cost) * BigInt(large.shares))
      }),
      runs(300),
    )
  })

  test('in two parts is the same walk, when the first part is gone for the second', () => {
    const total = (fills: readonly Level[], price: number) =>
      fills.reduce((sum, fill) => (fill.price === price ? sum + fill.shares : sum), 0)
    fc.assert(
      fc.property(anyAsks, size, size, anyFees, (asks, one, other, fees) => {
        const whole = walk(asks, one + other, 'buy', fees)
        const first = walk(asks, one, 'buy', fees)
        const second = walk(afterFills(asks, first.fills), other, 'buy', fees)
        expect(first.cost + second.cost).toBe(whole.cost)
        const parts = [...first.fills, ...second.fills]
        expect(asks.map(({ price }) => total(parts, price))).toEqual(asks.map(({ price }) => total(whole.fills, price)))
      }),
      runs(300),
    )
  })
})
