import { type Book, bookDoubt } from '../markets/book.ts'
import type { Order } from '../markets/broker.ts'
import { type Exposure, type Limits, risk } from '../markets/limits.ts'
import { type Market, type MarketEvent, quotedBid, type Side, tokenOf } from '../markets/market.ts'
import { sizeOf } from '../markets/sizing.ts'
import { strategies } from '../markets/strategies/index.ts'
import { type Leg, minBuy, type Opinion, type StrategyName, type View } from '../markets/strategies/strategy.ts'
import type { Filter } from '../markets/tradable.ts'
import { costOf, type Micro } from '../markets/units.ts'
import { skipFor, trustAt } from './market-args.ts'

/** An opportunity as the trader knows it: what its row says, filled up by its job. */
export interface Offer {
  readonly id: string
  readonly source: string
  readonly strategy: StrategyName
  readonly marketId: string
  readonly eventId?: string | undefined
  readonly side: Side
  readonly confidence: number
  /** That the side pays; an arbitrage needs none. */
  readonly probability?: number | undefined
  readonly status: string
  /** Ms since 1970. */
  readonly expiresAt?: number | undefined
}

/** What the market says at this moment. */
export interface Scene {
  readonly market?: Market | undefined
  /** With all of its markets, for what is bought across an event. */
  readonly event?: MarketEvent | undefined
  readonly books: ReadonlyMap<string, Book>
  /** The source's own time. */
  readonly now: number
}

/** What may be spent, and what was lost. */
export interface Purse {
  readonly limits: Limits
  readonly used: Exposure
  readonly bankroll: Micro
}

/** A purchase that is decided; its order lacks the key and the time. */
export type Planned = Omit<Order, 'key' | 'at'>

export type Decision =
  | { readonly kind: 'buy'; readonly orders: readonly Planned[]; readonly edge: number; readonly probability?: number | undefined }
  | { readonly kind: 'reject'; readonly reason: string; readonly edge?: number | undefined }

/** Why an opportunity is not even looked at on the market: it was decided, or nobody wants it any more. */
export function staleReason({ status, expiresAt }: Offer, wallNow: number): string | undefined {
  if (status !== 'pending' && status !== 'approved') return `already_${status}`
  return expiresAt !== undefined && expiresAt <= wallNow ? 'expired' : undefined
}

/** Looks at an opportunity as if it had just been found: the market as it is now, the book that can be bought from, every limit. */
export function review(offer: Offer, scene: Scene, purse: Purse, filter: Filter): Decision {
  const { market } = scene
  if (!purse.limits.tradingEnabled) return reject('trading_disabled')
  if (market === undefined) return reject('no_market')
  const skip = skipFor(offer.strategy, market, filter, scene.now)
  if (skip !== undefined) return reject(skip)
  return offer.strategy === 'model_opinion' ? reviewOpinion(offer, market, scene, purse) : reviewBasket(offer, market, scene, purse)
}

function reject(reason: string, edge?: number): Decision {
  return edge === undefined ? { kind: 'reject', reason } : { kind: 'reject', reason, edge }
}

function reviewOpinion(offer: Offer, market: Market, scene: Scene, { limits, used, bankroll }: Purse): Decision {
  const { probability, confidence, side } = offer
  if (probability === undefined) return reject('no_probability')
  const opinion = { probability: side === 'YES' ? probability : 1 - probability, confidence }
  const found = strategies.model_opinion
  const finding =
    found.scope === 'market' ? found.find(market, viewOf(scene, limits, limits.maxPositionSize, [[market.id, opinion]])) : undefined
  if (finding?.kind !== 'opportunity') return reject(finding?.reason ?? 'no_opinion', finding?.edge)
  const [leg] = finding.legs
  // What was approved is one side; the other one is another opportunity.
  if (leg.side !== side) return reject('edge_is_on_the_other_side', finding.edge)
  const book = scene.books.get(leg.token)
  if (book === undefined || market.fees === 'unknown') return reject('no_book')
  const size = sizeOf({ probability, book, fees: market.fees, bankroll, limits, used })
  if (size.kind === 'none') {
    const [tightest] = roomsOf(limits, used, bankroll)
    const fewest = Math.max(minBuy, costOf(book.asks[0]?.price ?? 0, book.minShares))
    // What is left of a limit is too little for the fewest shares: the limit is why.
    const isCut = size.reason === 'below_minimum' && tightest.room < fewest
    return reject(isCut ? tightest.reason : size.reason, size.edge)
  }
  const { shares, limit, budget, edge } = size
  const order = { ...orderOf(market, leg), shares, limit, budget, fees: market.fees, whole: false }
  return { kind: 'buy', orders: [order], edge, probability }
}

function reviewBasket({ strategy, eventId }: Offer, market: Market, scene: Scene, { limits, used, bankroll }: Purse): Decision {
  const [tightest] = roomsOf(limits, used, bankroll)
  const stake = tightest.room
  if (stake <= 0) return reject(tightest.reason)
  const view = viewOf(scene, limits, stake)
  const found = strategies[strategy]
  const subject = scene.event?.id === eventId ? scene.event : undefined
  if (found.scope === 'event' && subject === undefined) return reject('no_event')
  const finding = found.scope === 'market' ? found.find(market, view) : found.find(subject as MarketEvent, view)
  if (finding.kind !== 'opportunity') {
    const isCut = finding.reason === 'below_minimum' && stake < limits.maxPositionSize
    return reject(isCut ? tightest.reason : finding.reason, finding.edge)
  }
  const orders = finding.legs.map((leg) => legOrder(leg, found.scope === 'market' ? [market] : (subject?.markets ?? [])))
  if (!orders.every((order) => order !== undefined)) return reject('fees_unknown')
  return { kind: 'buy', orders, edge: finding.edge }
}

interface Room {
  readonly reason: string
  readonly room: Micro
}

/** What each limit leaves, the tightest first. */
function roomsOf(limits: Limits, used: Exposure, bankroll: Micro): readonly [Room, ...Room[]] {
  const first: Room = { reason: 'max_daily_exposure', room: limits.maxDailyExposure - used.today }
  const rest: readonly Room[] = [
    { reason: 'max_position_size', room: limits.maxPositionSize - used.market },
    { reason: 'max_event_exposure', room: limits.maxPositionSize - used.event },
    { reason: 'no_cash', room: Math.floor(risk[limits.riskMode].kelly * bankroll) },
  ]
  return [first, ...rest].toSorted((one, other) => one.room - other.room) as [Room, ...Room[]]
}

function viewOf({ books, now }: Scene, limits: Limits, stake: Micro, opinions: readonly (readonly [string, Opinion])[] = []): View {
  const policy = { minEdge: limits.minEdge, minConfidence: risk[limits.riskMode].minConfidence, stake }
  return { books, opinions: new Map(opinions), policy, trust: trustAt(now) }
}

/** A leg is bought whole or not at all, for exactly what makes the set worth it. */
function legOrder(leg: Leg, markets: readonly Market[]): Planned | undefined {
  const market = markets.find(({ id }) => id === leg.marketId)
  if (market === undefined || market.fees === 'unknown') return undefined
  const { shares, limit, cost, fee } = leg
  return { ...orderOf(market, leg), shares, limit, budget: cost + fee, fees: market.fees, whole: true }
}

function orderOf(market: Market, { token, side }: Pick<Leg, 'token' | 'side'>) {
  return { way: 'buy', marketId: market.id, token, side, negRisk: market.negRisk } as const
}

/** The tokens whose books a review needs. */
export function tokensOf({ strategy }: Offer, { market, event }: Pick<Scene, 'market' | 'event'>): readonly string[] {
  const markets = strategy === 'neg_risk' ? (event?.markets ?? []) : market === undefined ? [] : [market]
  return markets.flatMap((one) => [tokenOf(one, 'YES'), tokenOf(one, 'NO')]).filter((token) => token !== undefined)
}

/**
 * Whether a book can be used to decide what a position is worth, and be sold into. The exchange has shown 0.01 to 0.99 for lively tokens
 * while its catalogue was right: a bid that the catalogue contradicts is neither a loss nor a gain.
 */
export function isUsable(book: Book | undefined, market: Market, side: Side, now: number): book is Book {
  const trust = trustAt(now)
  if (book === undefined || bookDoubt(book, {}, trust) !== undefined) return false
  const quoted = quotedBid(market, side)
  return quoted === undefined || Math.abs(quoted - (book.bids[0]?.price ?? 0)) <= trust.drift
}
