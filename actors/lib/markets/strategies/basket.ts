import { type Book, bookDoubt } from '../book.ts'
import { costAt } from '../edge.ts'
import type { Fees } from '../fees.ts'
import { type Market, type Side, tokenOf } from '../market.ts'
import { type Micro, oneDollar, oneShare, type Shares } from '../units.ts'
import { depthOf, largest, type Walk, walk } from '../walk.ts'
import { type Finding, isTakeable, type Leg, legOf, type PassReason, pass, type StrategyName, type View } from './strategy.ts'

/** One thing of a basket to buy. */
export interface Part {
  readonly market: Market
  readonly side: Side
}

// Snapshots of one answer differ by a little; further apart they are not one moment, and their difference is no arbitrage.
const oneMoment = 1_000

interface Offer extends Part {
  readonly token: string
  readonly book: Book
  readonly fees: Fees
}

/**
 * Finds whether one share of each part costs less than the `payout` (whole dollars) that the set brings for certain, and how many sets
 * the books give: every leg in full, at its own prices and fees.
 */
export function findBasket(strategy: StrategyName, parts: readonly Part[], payout: number, view: View): Finding {
  const offers = offersOf(parts, view)
  if (typeof offers === 'string') return pass(offers)
  if (depthOfAll(offers) < leastOf(offers)) return pass('thin_book')
  const fits = (sets: Shares) => lastEdge(offers, sets, payout) >= view.policy.minEdge && priceOf(offers, sets) <= view.policy.stake
  const sets = largest(mostSets(offers, view), fits)
  if (sets === 0) return nothing(offers, payout, view)
  const edge = edgeOf(offers, sets, payout)
  const walks = offers.map((offer) => buy(offer, sets))
  if (!offers.every(({ book }, at) => isTakeable(walks[at] as Walk, book.minShares))) return pass('below_minimum', edge)
  const legs = offers.map((offer, at) => legOf(offer.market, offer.side, offer.token, walks[at] as Walk))
  const total = (of: (leg: Leg) => number) => legs.reduce((sum, leg) => sum + of(leg), 0)
  return {
    kind: 'opportunity',
    strategy,
    legs: legs as [Leg, ...Leg[]],
    edge,
    cost: total((leg) => leg.cost),
    fee: total((leg) => leg.fee),
    confidence: 1,
  }
}

function offersOf(parts: readonly Part[], view: View): readonly Offer[] | PassReason {
  const offers: Offer[] = []
  for (const { market, side } of parts) {
    const token = tokenOf(market, side)
    const book = token === undefined ? undefined : view.books.get(token)
    if (token === undefined || book === undefined) return 'no_book'
    const doubt = bookDoubt(book, side === 'YES' ? market.quote : {}, view.trust)
    if (doubt !== undefined) return doubt
    if (book.asks.length === 0) return 'one_sided'
    if (market.fees === 'unknown') return 'fees_unknown'
    offers.push({ market, side, token, book, fees: market.fees })
  }
  const times = offers.map(({ book }) => book.at)
  return Math.max(...times) - Math.min(...times) > oneMoment ? 'snapshots_differ' : offers
}

function depthOfAll(offers: readonly Offer[]): Shares {
  return Math.min(...offers.map(({ book }) => depthOf(book.asks, 'buy')))
}

/** No more than every book holds, nor than the stake pays at the best prices. */
function mostSets(offers: readonly Offer[], { policy }: View): Shares {
  const best = offers.reduce((sum, { book }) => sum + (book.asks[0]?.price ?? 0), 0)
  return Math.min(depthOfAll(offers), Math.floor(policy.stake / best))
}

function leastOf(offers: readonly Offer[]): Shares {
  return Math.max(...offers.map(({ book }) => book.minShares), 1)
}

/** Why no set is bought, judged by the fewest that could be sold again. */
function nothing(offers: readonly Offer[], payout: number, { policy }: View): Finding {
  const edge = edgeOf(offers, leastOf(offers), payout)
  return pass(edge < policy.minEdge ? 'edge_below_threshold' : 'below_minimum', edge)
}

/** The edge of the last set of so many: a cheap first level must not pay for sets that lose. */
function lastEdge(offers: readonly Offer[], sets: Shares, payout: number): number {
  const last = offers.map((offer) => costAt(buy(offer, sets).fills.at(-1)?.price ?? 0, offer.fees))
  return payout - last.reduce((sum, cost) => sum + cost, 0)
}

function edgeOf(offers: readonly Offer[], sets: Shares, payout: number): number {
  return payout - (priceOf(offers, sets) * oneShare) / sets / oneDollar
}

/** What so many sets cost, fees included. */
function priceOf(offers: readonly Offer[], sets: Shares): Micro {
  return offers.reduce((sum, offer) => {
    const { cost, fee } = buy(offer, sets)
    return sum + cost + fee
  }, 0)
}

function buy({ book, fees }: Offer, shares: Shares): Walk {
  return walk(book.asks, shares, 'buy', fees)
}
