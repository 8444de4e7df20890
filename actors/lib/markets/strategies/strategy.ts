import type { Book, Trust } from '../book.ts'
import type { Market, MarketEvent, Side } from '../market.ts'
import type { SkipReason } from '../tradable.ts'
import type { Micro, Price, Shares } from '../units.ts'
import type { Walk } from '../walk.ts'

/** What somebody believes: that YES wins, and how sure that somebody is. Both 0 to 1. */
export interface Opinion {
  readonly probability: number
  readonly confidence: number
}

/** What a strategy looks at besides the market or event. Books by token, opinions by market. */
export interface View {
  readonly books: ReadonlyMap<string, Book>
  readonly opinions: ReadonlyMap<string, Opinion>
  readonly policy: Policy
  readonly trust: Trust
}

/** What is worth trading; `stake` is the size that an edge is computed for, the trader decides its own. */
export interface Policy {
  readonly minEdge: number
  readonly minConfidence: number
  readonly stake: Micro
}

/** One purchase of an opportunity: never above `limit`. */
export interface Leg {
  readonly marketId: string
  readonly token: string
  readonly side: Side
  readonly shares: Shares
  readonly limit: Price
  readonly cost: Micro
  readonly fee: Micro
}

/** Something to buy, all of its legs or none. `edge` is per share, or per set of one share of each leg, after costs. */
export interface Opportunity {
  readonly kind: 'opportunity'
  readonly strategy: StrategyName
  readonly legs: readonly [Leg, ...Leg[]]
  readonly edge: number
  readonly cost: Micro
  readonly fee: Micro
  readonly confidence: number
  /** That the first leg pays; for arbitrage the set pays for certain and there is none. */
  readonly probability?: number
}

/** Why there is nothing to buy; with the edge where there was one to compute. */
export interface Pass {
  readonly kind: 'pass'
  readonly reason: PassReason
  readonly edge?: number
}

export type PassReason =
  | SkipReason
  | 'no_book'
  | 'stale_book'
  | 'off_quote'
  | 'books_disagree'
  | 'snapshots_differ'
  | 'thin_book'
  | 'edge_below_threshold'
  | 'below_minimum'
  | 'no_opinion'
  | 'low_confidence'
  | 'event_incomplete'

export type Finding = Opportunity | Pass
export type StrategyName = 'complete_set' | 'neg_risk' | 'model_opinion'

/** A way to find opportunities, in one market or in an event with all of its markets. */
export type Strategy =
  | { readonly name: StrategyName; readonly scope: 'market'; find(market: Market, view: View): Finding }
  | { readonly name: StrategyName; readonly scope: 'event'; find(event: MarketEvent, view: View): Finding }

/** The exchange takes no marketable order to buy for less than this. */
export const minBuy: Micro = 1_000_000

/** Nothing to buy, and why. */
export function pass(reason: PassReason, edge?: number): Pass {
  return edge === undefined ? { kind: 'pass', reason } : { kind: 'pass', reason, edge }
}

/** The purchase that a walk through the asks stands for; its limit is the worst price it took. */
export function legOf(market: Market, side: Side, token: string, bought: Walk): Leg {
  const limit = bought.fills.at(-1)?.price ?? 0
  return { marketId: market.id, token, side, shares: bought.shares, limit, cost: bought.cost, fee: bought.fee }
}

/** Whether the exchange would take this purchase, and its shares could be sold again. */
export function isTakeable(bought: Pick<Walk, 'shares' | 'cost'>, minShares: Shares): boolean {
  return bought.shares >= minShares && bought.cost >= minBuy
}
