import { type Fees, feeOf } from './fees.ts'
import { costOf, oneShare, type Price } from './units.ts'
import type { Walk } from './walk.ts'

/** What a share costs on average with its fee, 0 to 1; undefined for a walk that found nothing. */
export function costPerShare({ shares, cost, fee }: Pick<Walk, 'shares' | 'cost' | 'fee'>): number | undefined {
  return shares === 0 ? undefined : (cost + fee) / shares / 10_000
}

/**
 * The edge of buying what this walk gives: the probability that a share pays, less what it costs from the book, fee included. A
 * market's distance from a half is no edge, nor is a distance from a displayed price.
 */
export function edgeOf(probability: number, bought: Pick<Walk, 'shares' | 'cost' | 'fee'>): number | undefined {
  const cost = costPerShare(bought)
  return cost === undefined ? undefined : probability - cost
}

/** What one share at this price costs with its fee, 0 to 1. The last share of a walk is the dearest: it has to be worth it by itself. */
export function costAt(price: Price, fees: Fees): number {
  return (costOf(price, oneShare) + feeOf(fees, price, oneShare)) / oneShare / 10_000
}
