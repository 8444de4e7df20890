import type { Book } from './book.ts'
import type { Fees } from './fees.ts'
import type { Resolution, Side } from './market.ts'
import { costOf, type Micro, oneDollar, onePrice, oneShare, type Price, type Shares } from './units.ts'
import { type Walk, walk } from './walk.ts'

/** Shares of one token that were bought: `cost` at their prices, `fee` beside it. */
export interface Position {
  readonly marketId: string
  readonly token: string
  readonly side: Side
  readonly shares: Shares
  readonly cost: Micro
  readonly fee: Micro
  /** Ms since 1970. */
  readonly openedAt: number
}

/** What a position would bring if it were sold now. What nobody bids for is worth nothing until it is decided. */
export interface Mark {
  readonly sold: Walk
  readonly unsellable: Shares
  /** What the sale brings, fee off. */
  readonly value: Micro
  readonly pnl: Micro
  /** Of what was paid. */
  readonly pnlPart: number
}

/** Marks a position to the bids that it could be sold into, never to a middle or a displayed price. */
export function mark(position: Position, book: Pick<Book, 'bids' | 'minShares'>, fees: Fees): Mark {
  const sold = walk(book.bids, position.shares, 'sell', fees)
  const isSellable = sold.shares >= book.minShares
  const value = isSellable ? sold.cost - sold.fee : 0
  const paid = position.cost + position.fee
  const unsellable = isSellable ? sold.left : position.shares
  return { sold, unsellable, value, pnl: value - paid, pnlPart: paid === 0 ? 0 : (value - paid) / paid }
}

/** When a position is given up. Parts are of what was paid; times are ms. */
export interface ExitRules {
  readonly stopLoss: number
  readonly takeProfit: number
  /** A stop or gain must show at this many marks in a row: one thin moment sells nothing. */
  readonly looks: number
  /** How many times the position's shares the bids must hold for a stop to be believed. */
  readonly minDepth: number
  readonly maxAge: number
}

export const exitDefaults: ExitRules = { stopLoss: 0.2, takeProfit: 0.5, looks: 2, minDepth: 2, maxAge: 30 * 86_400_000 }

export type ExitReason = 'stop_loss' | 'take_profit' | 'edge_gone' | 'time'

/** What is remembered of a position between marks. */
export interface Watch {
  readonly reason?: ExitReason
  readonly looks: number
}

export interface Look {
  readonly position: Position
  readonly mark: Mark
  readonly book: Pick<Book, 'bids'>
  /** That the position's side wins, if somebody has a newer opinion. */
  readonly probability?: number
  readonly now: number
}

/** Looks at a position once more: what to remember, and the reason to sell once it has lasted. */
export function watch(before: Watch, look: Look, rules: ExitRules): { readonly watch: Watch; readonly exit?: ExitReason } {
  const reason = reasonNow(look, rules)
  if (reason === undefined) return { watch: { looks: 0 } }
  const looks = before.reason === reason ? before.looks + 1 : 1
  return { watch: { reason, looks }, ...(looks >= rules.looks && { exit: reason }) }
}

function reasonNow(
  { position, mark: { pnlPart, unsellable, value }, book, probability, now }: Look,
  rules: ExitRules,
): ExitReason | undefined {
  // What cannot be sold in full stays: a part of it could be too small to be sold later.
  if (unsellable > 0) return undefined
  const depth = book.bids.reduce((sum, { shares }) => sum + shares, 0)
  const isDeep = depth >= position.shares * rules.minDepth
  if (pnlPart <= -rules.stopLoss && isDeep) return 'stop_loss'
  if (pnlPart >= rules.takeProfit) return 'take_profit'
  if (probability !== undefined && isWorthMore(value, position.shares, probability)) return 'edge_gone'
  return now - position.openedAt >= rules.maxAge ? 'time' : undefined
}

/** Whether the sale brings at least what holding is expected to. */
function isWorthMore(value: Micro, shares: Shares, probability: number): boolean {
  return value >= (probability * shares * oneDollar) / oneShare
}

/** What each share of a side pays when its market is decided; undefined while it is not. There is no fee on that. */
export function payout(side: Side, resolution: Resolution): Price | undefined {
  switch (resolution) {
    case 'open':
    case 'undecided':
      return undefined
    case 'split':
      return onePrice / 2
    case 'YES':
    case 'NO':
      return resolution === side ? onePrice : 0
  }
}

/** What a trade has brought: the proceeds less what was paid, all fees included. */
export interface Settled {
  readonly proceeds: Micro
  readonly fees: Micro
  readonly pnl: Micro
  /** The average a share brought before fees, 0 to 1. */
  readonly exitPrice: number
}

/** Settles a decided position. */
export function settle(position: Position, each: Price): Settled {
  const proceeds = costOf(each, position.shares)
  return { proceeds, fees: position.fee, pnl: proceeds - position.cost - position.fee, exitPrice: each / onePrice }
}

/** Settles a position by its sale; only what was sold counts, so sell all of it or split it before. */
export function settleSale(position: Position, sold: Pick<Walk, 'shares' | 'cost' | 'fee'>): Settled {
  const fees = position.fee + sold.fee
  const exitPrice = sold.shares === 0 ? 0 : sold.cost / sold.shares / onePrice
  return { proceeds: sold.cost, fees, pnl: sold.cost - position.cost - fees, exitPrice }
}
