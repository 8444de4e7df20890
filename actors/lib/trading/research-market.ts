import type { Book } from '../markets/book.ts'
import { type Limits, risk } from '../markets/limits.ts'
import { type Market, tokenOf } from '../markets/market.ts'
import { modelOpinion } from '../markets/strategies/model-opinion.ts'
import { type Finding, type Opinion, pass } from '../markets/strategies/strategy.ts'
import { priceOf } from '../markets/units.ts'
import { trustAt } from './market-args.ts'

/** The middle of the book of YES, 0 to 1: what the market believes. Undefined when only one side is there. */
export function middleOf(market: Market, books: ReadonlyMap<string, Book>): number | undefined {
  const book = books.get(tokenOf(market, 'YES') ?? '')
  const [bid, ask] = [book?.bids[0]?.price, book?.asks[0]?.price]
  return bid === undefined || ask === undefined ? undefined : priceOf(bid + ask) / 2
}

/** What is known of a market at one moment. */
export interface Known {
  readonly market: Market
  readonly books: ReadonlyMap<string, Book>
  /** The source's own time. */
  readonly now: number
}

/** What an opinion is worth there, by the same rules that the trader will ask again. */
export function worthOf({ market, books, now }: Known, opinion: Opinion, { minEdge, riskMode, maxPositionSize }: Limits): Finding {
  if (modelOpinion.scope !== 'market') return pass('no_opinion')
  const policy = { minEdge, minConfidence: risk[riskMode].minConfidence, stake: maxPositionSize }
  return modelOpinion.find(market, { books, opinions: new Map([[market.id, opinion]]), policy, trust: trustAt(now) })
}
