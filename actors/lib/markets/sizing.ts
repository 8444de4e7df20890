import type { Book } from './book.ts'
import { costAt, costPerShare, edgeOf } from './edge.ts'
import { type Fees, feeOf } from './fees.ts'
import { type Exposure, type Limits, risk } from './limits.ts'
import { minBuy } from './strategies/strategy.ts'
import { costOf, type Micro, onePrice, type Price, type Shares } from './units.ts'
import { depthOf, largest, type Walk, walk } from './walk.ts'

/** What a size is decided by. */
export interface Stake {
  /** That a share pays. */
  readonly probability: number
  readonly book: Pick<Book, 'asks' | 'minShares'>
  readonly fees: Fees
  /** What could be spent now. */
  readonly bankroll: Micro
  readonly limits: Limits
  readonly used: Exposure
}

export type Sizing =
  /** Buy so many, never above `limit`, and reserve `budget`: what they cost at worst, fees included. */
  | {
      readonly kind: 'buy'
      readonly shares: Shares
      readonly limit: Price
      readonly budget: Micro
      readonly edge: number
    }
  | { readonly kind: 'none'; readonly reason: NoSize; readonly edge?: number }

export type NoSize =
  | 'trading_disabled'
  | 'bad_probability'
  | 'no_depth'
  | 'no_edge'
  | 'edge_below_threshold'
  | 'max_position_size'
  | 'max_event_exposure'
  | 'max_daily_exposure'
  | 'no_cash'
  | 'below_minimum'

/** The part of a bankroll that a full Kelly stake is: a share costs `cost`, pays 1 with this probability. Nothing without an edge. */
export function kellyFraction(probability: number, cost: number): number {
  if (!(cost > 0 && cost < 1 && probability > cost)) return 0
  return Math.min(1, (probability - cost) / (1 - cost))
}

/**
 * Decides how much to buy: the largest size whose cost still justifies it, the last share included. A larger size costs more per share, so its Kelly stake
 * shrinks while its cost grows; every cap is asked of the worst cost, so that a worse fill breaks none.
 */
export function sizeOf(stake: Stake): Sizing {
  const { probability, book, fees, limits, used, bankroll } = stake
  if (!limits.tradingEnabled) return { kind: 'none', reason: 'trading_disabled' }
  if (!(probability > 0 && probability < 1)) return { kind: 'none', reason: 'bad_probability' }
  const least = walk(book.asks, Math.max(book.minShares, 1), 'buy', fees)
  const edge = edgeOf(probability, least)
  if (edge === undefined || least.left > 0) return { kind: 'none', reason: 'no_depth' }
  if (edge <= 0) return { kind: 'none', reason: 'no_edge', edge }
  if (edge < limits.minEdge) return { kind: 'none', reason: 'edge_below_threshold', edge }
  const full = roomOf(limits, used, bankroll).find(({ room }) => room <= 0)
  if (full !== undefined) return { kind: 'none', reason: full.reason, edge }
  const shares = largest(depthOf(book.asks, 'buy'), (count) => isJustified(stake, walk(book.asks, count, 'buy', fees)))
  return decided(stake, walk(book.asks, shares, 'buy', fees), edge)
}

function decided({ probability, book, fees }: Stake, expected: Walk, edge: number): Sizing {
  // Fewer shares than the exchange takes could not be sold again.
  if (expected.shares < book.minShares || expected.cost < minBuy) return { kind: 'none', reason: 'below_minimum', edge }
  return {
    kind: 'buy',
    shares: expected.shares,
    limit: expected.fills.at(-1)?.price ?? 0,
    budget: worstOf(expected, fees),
    edge: edgeOf(probability, expected) ?? 0,
  }
}

function roomOf(limits: Limits, used: Exposure, bankroll: Micro): readonly { reason: NoSize; room: Micro }[] {
  return [
    { reason: 'no_cash', room: bankroll },
    { reason: 'max_position_size', room: limits.maxPositionSize - used.market },
    // At most one market of an event pays: together they are one position.
    { reason: 'max_event_exposure', room: limits.maxPositionSize - used.event },
    { reason: 'max_daily_exposure', room: limits.maxDailyExposure - used.today },
  ]
}

function isJustified({ probability, fees, limits, used, bankroll }: Stake, bought: Walk): boolean {
  const cost = costPerShare(bought) ?? 1
  // Not on average: a cheap first level must not pay for shares that are not worth it.
  if (probability - costAt(bought.fills.at(-1)?.price ?? onePrice, fees) < limits.minEdge) return false
  if (bought.cost + bought.fee > risk[limits.riskMode].kelly * kellyFraction(probability, cost) * bankroll) return false
  const worst = worstOf(bought, fees)
  return roomOf(limits, used, bankroll).every(({ room }) => worst <= room)
}

/** What the shares of a walk cost if each costs as much as the last; a fee grows slower than its price, so that is the worst. */
function worstOf({ shares, fills, cost, fee }: Walk, fees: Fees): Micro {
  const limit = fills.at(-1)?.price ?? 0
  // Each level's fee is rounded up by itself: many small fills may cost a little more than one.
  return Math.max(costOf(limit, shares) + feeOf(fees, limit, shares), cost + fee)
}
