import type { Book } from '../markets/book.ts'
import type { Market } from '../markets/market.ts'
import { type ExitReason, type ExitRules, type Mark, mark, payout, type Settled, settle, type Watch, watch } from '../markets/positions.ts'
import { costOf, onePrice } from '../markets/units.ts'
import { type Execution, positionOf } from './execution.ts'
import { isUsable } from './review.ts'

/** What is to be done with an open trade. */
export type Verdict =
  /** It has ended: the market is decided, or a whole set was given back for its dollar. */
  | { readonly kind: 'settle'; readonly settled: Settled; readonly reason: 'resolved' | 'merged' }
  | { readonly kind: 'sell'; readonly reason: ExitReason; readonly mark: Mark }
  | { readonly kind: 'hold'; readonly mark?: Mark | undefined; readonly watch?: Watch | undefined }

/** What an open trade is judged by. */
export interface Sight {
  readonly market?: Market | undefined
  readonly book?: Book | undefined
  /** The other executions of its set that are open, or were held until their market was decided. */
  readonly siblings: readonly Execution[]
  /** That its side pays, by the newest opinion. */
  readonly probability?: number | undefined
  readonly watch: Watch
  /** The source's own time, and ms since 1970. */
  readonly now: number
  readonly wallNow: number
}

/** Decides what becomes of an open trade. */
export function judge(
  execution: Execution,
  { market, book, siblings, probability, watch: before, ...at }: Sight,
  rules: ExitRules,
): Verdict {
  if (market === undefined) return { kind: 'hold', watch: before }
  const position = positionOf(execution)
  // Whoever holds both sides has a dollar a share, however it ends.
  const isPair = execution.stage === 'unsold_leg'
  const each = isPair && payout('YES', market.resolution) !== undefined ? onePrice : payout(position.side, market.resolution)
  if (each !== undefined) return { kind: 'settle', settled: settle(position, each), reason: 'resolved' }
  const merged = mergedWith(execution, siblings)
  if (merged !== undefined) return { kind: 'settle', settled: merged, reason: 'merged' }
  if (!isUsable(book, market, position.side, at.now) || market.fees === 'unknown') return { kind: 'hold', watch: before }
  const seen = mark(position, book, market.fees)
  // A leg of a set pays together with the others, and of two sides nothing can be sold.
  if (isPair || isWholeSet(execution, siblings)) return { kind: 'hold', mark: seen }
  const look = { position, mark: seen, book, now: at.wallNow, ...(probability !== undefined && { probability }) }
  const { watch: next, exit } = watch(before, look, rules)
  return exit === undefined ? { kind: 'hold', mark: seen, watch: next } : { kind: 'sell', reason: exit, mark: seen }
}

/** Whether no leg of its set was sold or failed: what one of them got when it was decided belongs to the set, as what the others will get. */
function isWholeSet({ details: { basket, orders } }: Execution, siblings: readonly Execution[]): boolean {
  return basket !== null && siblings.length + 1 === orders.length
}

/**
 * A pair of both sides of one market can be given back for a dollar at any time; on paper that is done at once. Each leg gets its cost and
 * half of what the pair gained.
 */
function mergedWith(execution: Execution, siblings: readonly Execution[]): Settled | undefined {
  const { strategy, broker } = execution.details
  const [other] = siblings
  if (strategy !== 'complete_set' || broker !== 'paper' || other === undefined || !isWholeSet(execution, siblings)) return undefined
  if (other.status !== 'executed' || execution.shares !== other.shares) return undefined
  const [mine, theirs] = [positionOf(execution), positionOf(other)]
  const whole = costOf(onePrice, mine.shares)
  const half = Math.floor((whole - mine.cost - theirs.cost) / 2)
  const proceeds = execution.side === 'YES' ? mine.cost + half : whole - theirs.cost - half
  return { proceeds, fees: mine.fee, pnl: proceeds - mine.cost - mine.fee, exitPrice: within(proceeds / whole) }
}

function within(price: number): number {
  return Math.min(1, Math.max(0, price))
}
