import type { Level } from './book.ts'
import { type Fees, feeOf } from './fees.ts'
import { costOf, type Micro, type Price, type Shares } from './units.ts'

/** What one level gives. */
export interface Fill {
  readonly price: Price
  readonly shares: Shares
  readonly cost: Micro
  readonly fee: Micro
}

/** What a book gives for a size: of `shares`, `left` found nobody. `cost` is what the shares are worth at their prices, without the fee. */
export interface Walk {
  readonly fills: readonly Fill[]
  readonly shares: Shares
  readonly left: Shares
  readonly cost: Micro
  readonly fee: Micro
}

/** Which way an order goes; a buyer walks the asks, a seller the bids. */
export type Way = 'buy' | 'sell'

/** Takes `shares` from the levels, best first, each at its own price and none beyond the limit. */
export function walk(levels: readonly Level[], shares: Shares, way: Way, fees: Fees, limit?: Price): Walk {
  const fills: Fill[] = []
  let left = shares
  for (const { price, shares: offered } of levels) {
    if (left <= 0 || isBeyond(price, way, limit)) break
    const taken = Math.min(left, offered)
    fills.push({ price, shares: taken, cost: costOf(price, taken), fee: feeOf(fees, price, taken) })
    left -= taken
  }
  const total = (of: (fill: Fill) => number) => fills.reduce((sum, fill) => sum + of(fill), 0)
  return { fills, shares: total((fill) => fill.shares), left, cost: total((fill) => fill.cost), fee: total((fill) => fill.fee) }
}

function isBeyond(price: Price, way: Way, limit: Price | undefined): boolean {
  if (limit === undefined) return false
  return way === 'buy' ? price > limit : price < limit
}

/** How many shares there are up to the limit. */
export function depthOf(levels: readonly Level[], way: Way, limit?: Price): Shares {
  return levels.reduce((sum, { price, shares }) => (isBeyond(price, way, limit) ? sum : sum + shares), 0)
}

/** The levels that remain when these fills were taken from them: nobody gets the same share twice from one snapshot. */
export function afterFills(levels: readonly Level[], fills: readonly Pick<Fill, 'price' | 'shares'>[]): Level[] {
  const taken = new Map<Price, Shares>()
  for (const { price, shares } of fills) taken.set(price, (taken.get(price) ?? 0) + shares)
  return levels
    .map(({ price, shares }) => {
      const used = Math.min(shares, taken.get(price) ?? 0)
      taken.set(price, (taken.get(price) ?? 0) - used)
      return { price, shares: shares - used }
    })
    .filter(({ shares }) => shares > 0)
}

/** The largest whole number from 0 to `high` that passes, for a test that fails for good once it fails; 0 need not pass. */
export function largest(high: number, passes: (value: number) => boolean): number {
  let [low, top] = [0, Math.floor(high)]
  while (low < top) {
    const middle = Math.ceil((low + top) / 2)
    if (passes(middle)) low = middle
    else top = middle - 1
  }
  return low
}
