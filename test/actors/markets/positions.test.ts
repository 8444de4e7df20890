import { expect, test } from 'vitest'
import { exitDefaults, mark, type Position, payout, settle, settleSale, type Watch, watch } from '../../../actors/lib/markets/positions.ts'
import { book, now } from './build.ts'

const noFees = { rate: 0, exponent: 1 }
// Ten shares at 0.50, with a fee of 0.10.
const position: Position = { marketId: '101', token: '1011', side: 'YES', shares: 1_000, cost: 5_000_000, fee: 100_000, openedAt: now }
const bids = (...levels: [string, string][]) => book('1011', { bids: levels, asks: [['0.99', '5']] })

test('a position is worth what the bids give for it, fee off, and what nobody bids for is worth nothing', () => {
  const worth = (levels: [string, string][], fees = noFees) => {
    const { value, pnl, unsellable } = mark(position, bids(...levels), fees)
    return [value, pnl, unsellable]
  }
  expect([
    worth([
      ['0.60', '4'],
      ['0.55', '100'],
    ]),
    // 10 × 0.60 = 6.00, less 10 × 0.04 × 0.24 = 0.096.
    worth([['0.60', '100']], { rate: 40_000, exponent: 1 }),
    worth([['0.60', '6']]),
    worth([['0.60', '4']]),
    worth([]),
  ]).toEqual([
    [5_700_000, 600_000, 0],
    [5_904_000, 804_000, 0],
    [3_600_000, -1_500_000, 400],
    [0, -5_100_000, 1_000],
    [0, -5_100_000, 1_000],
  ])
})

function looks(prices: readonly string[], options: { size?: string; probability?: number; now?: number } = {}) {
  let before: Watch = { looks: 0 }
  return prices.map((price) => {
    const seen = bids([price, options.size ?? '100'])
    const look = { position, mark: mark(position, seen, noFees), book: seen, now: options.now ?? now + 1_000 }
    const next = watch(before, { ...look, ...(options.probability !== undefined && { probability: options.probability }) }, exitDefaults)
    before = next.watch
    return next.exit
  })
}

test('a stop must last: one thin moment, a rebound or an empty book sells nothing', () => {
  // A fifth of the 5.10 paid is lost below 0.408.
  expect(looks(['0.41', '0.41'])).toEqual([undefined, undefined])
  expect(looks(['0.40', '0.40', '0.40'])).toEqual([undefined, 'stop_loss', 'stop_loss'])
  expect(looks(['0.40', '0.45', '0.40', '0.40'])).toEqual([undefined, undefined, undefined, 'stop_loss'])
  expect(looks(['0.40', '0.40'], { size: '19' })).toEqual([undefined, undefined])
  expect(looks(['0.10', '0.10'], { size: '9' })).toEqual([undefined, undefined])
})

test('leaves with a gain, when holding is worth no more than selling, or after its time', () => {
  expect([
    looks(['0.77', '0.77']).at(-1),
    looks(['0.60', '0.60'], { probability: 0.6 }).at(-1),
    looks(['0.60', '0.60'], { probability: 0.61 }).at(-1),
    looks(['0.60', '0.60'], { now: now + exitDefaults.maxAge }).at(-1),
  ]).toEqual(['take_profit', 'edge_gone', undefined, 'time'])
})

test('settles at one, nothing or a half, and keeps both fees of a sale', () => {
  const paid = (['YES', 'NO', 'split', 'undecided', 'open'] as const).map((resolution) => payout('YES', resolution))
  expect(paid).toEqual([10_000, 0, 5_000, undefined, undefined])
  expect([settle(position, 10_000), settle(position, 0), settleSale(position, { shares: 1_000, cost: 6_000_000, fee: 96_000 })]).toEqual([
    { proceeds: 10_000_000, fees: 100_000, pnl: 4_900_000, exitPrice: 1 },
    { proceeds: 0, fees: 100_000, pnl: -5_100_000, exitPrice: 0 },
    { proceeds: 6_000_000, fees: 196_000, pnl: 804_000, exitPrice: 0.6 },
  ])
})
