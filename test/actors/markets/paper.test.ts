import fc from 'fast-check'
import { expect, test } from 'vitest'
import { chooseBroker, type Order, type Outcome } from '../../../actors/lib/markets/broker.ts'
import { createPaper } from '../../../actors/lib/markets/paper.ts'
import { runs } from '../../seed.ts'
import { book, now, order } from './build.ts'

const fees = { rate: 40_000, exponent: 1 }
const yes = book('1011', {
  bids: [['0.40', '20']],
  asks: [
    ['0.42', '6'],
    ['0.45', '10'],
  ],
})

function paper(books = [yes]) {
  return createPaper({ book: async (token) => books.find((one) => one.token === token), now: () => now, maxAge: 1_000 })
}

async function place(changes: Partial<Order>, books = [yes]): Promise<unknown[]> {
  return brief(await paper(books).place(order(changes)))
}

const brief = (outcome: Outcome) =>
  outcome.kind === 'filled'
    ? [outcome.shares, outcome.cost, outcome.fee]
    : [outcome.kind, outcome.kind === 'refused' ? outcome.reason : undefined]

test('buys from the asks and sells to the bids, level by level, with the fee of each', async () => {
  // 6 × 0.42 + 4 × 0.45 = 4.32; 6 × 0.04 × 0.2436 = 0.058464 and 4 × 0.04 × 0.2475 = 0.0396, each rounded up to 0.00001.
  expect(await place({ fees })).toEqual([1_000, 4_320_000, 98_070])
  // 8 × 0.40 = 3.20; 8 × 0.04 × 0.24 = 0.0768.
  expect(await place({ way: 'sell', shares: 800, limit: 3_900, fees })).toEqual([800, 3_200_000, 76_800])
})

test('fills what the limit, the depth and the budget give, and no more', async () => {
  expect([
    await place({ limit: 4_200 }),
    await place({ shares: 5_000 }),
    await place({ budget: 4_000_000 }),
    await place({ budget: 2_530_000, fees }),
    await place({ way: 'sell', shares: 3_000, limit: 100 }),
  ]).toEqual([
    [600, 2_520_000, 0],
    [1_600, 7_020_000, 0],
    // 2.52 for six, and 1.48 buys 3.28 at 0.45.
    [928, 3_996_000, 0],
    // 5.88 × 0.42 = 2.4696, its fee 0.05730: 2.5269; one hundredth more is 2.5312.
    [588, 2_469_600, 57_300],
    [2_000, 8_000_000, 0],
  ])
})

test('refuses what the exchange would refuse', async () => {
  const old = { ...yes, seen: now - 1_001 }
  expect([
    await place({ shares: 499 }),
    await place({ shares: 500, limit: 100, budget: 1_000_000 }),
    await place({ limit: 4_250 }),
    await place({ limit: 4_100 }),
    await place({ budget: 1_000 }),
    await place({ whole: true, shares: 1_700 }),
    await place({ token: '7' }),
    await place({}, [old]),
    await place({ marketId: '1; rm -rf /' }),
    await place({ shares: Number.NaN }),
    await place({ shares: -500 }),
    await place({ limit: 10_000 }),
    await place({ shares: 500.5 }),
  ]).toEqual(
    [
      'below_minimum',
      'below_minimum',
      'off_tick',
      'no_match',
      'below_minimum',
      'not_whole',
      'no_book',
      'stale_book',
      ...Array(5).fill('bad_order'),
    ].map((reason) => ['refused', reason]),
  )
})

test('gives nobody the same share twice from one snapshot, also at the same time', async () => {
  const broker = paper()
  const both = await Promise.all([broker.place(order({ key: 'a' })), broker.place(order({ key: 'b' })), broker.place(order({ key: 'c' }))])
  expect(both.map(brief)).toEqual([
    [1_000, 4_320_000, 0],
    [600, 2_700_000, 0],
    ['refused', 'no_match'],
  ])
})

test('the same key is the same order, and one that was lost is walked again', async () => {
  const broker = paper()
  const first = await broker.place(order())
  expect(await broker.place(order())).toEqual(first)
  expect(await broker.reconcile(order())).toEqual(first)
  expect(await paper().reconcile(order())).toEqual(first)
})

test('reports its average, its distance from the middle and its levels', async () => {
  const outcome = await paper().place(order())
  // 0.432 against 0.41: 5.37 per cent.
  expect(outcome.kind === 'filled' && outcome.report).toEqual({
    average: 0.432,
    middle: 0.41,
    slippage: expect.closeTo(536.59, 1),
    levels: 2,
  })
})

test('never takes more than its budget, nor than was reserved', async () => {
  const level = fc.record({ price: fc.integer({ min: 1, max: 99 }), shares: fc.integer({ min: 1, max: 5_000 }) })
  const levels = fc.uniqueArray(level, { selector: ({ price }) => price, minLength: 1, maxLength: 6 })
  const wanted = fc.record({
    shares: fc.integer({ min: 500, max: 20_000 }),
    limit: fc.integer({ min: 1, max: 99 }),
    budget: fc.integer({ min: 1_000_000, max: 50_000_000 }),
  })
  await fc.assert(
    fc.asyncProperty(levels, wanted, fc.integer({ min: 0, max: 100_000 }), async (asks, { shares, limit, budget }, rate) => {
      const offered = book('1011', { asks: asks.map(({ price, shares: size }) => [`${price / 100}`, `${size / 100}`]) })
      const broker = paper([offered])
      const one = order({ shares, limit: limit * 100, budget, fees: { rate, exponent: 1 } })
      const outcome = await broker.place(one)
      if (outcome.kind !== 'filled') return
      expect(outcome.shares).toBeLessThanOrEqual(shares)
      expect(outcome.cost + outcome.fee).toBeLessThanOrEqual(budget)
      // Each level's fee is rounded up by itself.
      expect(outcome.cost + outcome.fee).toBeLessThanOrEqual(broker.reserve(one) + 10 * outcome.fills.length)
    }),
    runs(200),
  )
})

test('real money needs the config and the environment', () => {
  const chosen = [
    chooseBroker('paper', '1'),
    chooseBroker('polyclaw', undefined),
    chooseBroker('polyclaw', 'true'),
    chooseBroker('polyclaw', '1'),
  ]
  expect(chosen.map(({ name }) => name)).toEqual(['paper', 'paper', 'paper', 'polyclaw'])
  expect(chosen[1]?.reason).toBe('paper: the config names polyclaw, but LIVE_TRADING is not 1')
})
