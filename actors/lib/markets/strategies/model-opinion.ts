import { type Book, bookDoubt, booksAgree } from '../book.ts'
import { edgeOf } from '../edge.ts'
import type { Fees } from '../fees.ts'
import { type Market, type Side, tokenOf } from '../market.ts'
import { structureReason } from '../tradable.ts'
import type { Micro } from '../units.ts'
import { largest, type Walk, walk } from '../walk.ts'
import { type Finding, isTakeable, legOf, type Opinion, type PassReason, pass, type Strategy, type View } from './strategy.ts'

/** Buys the side that somebody believes in more than its own book does, by more than it costs. */
export const modelOpinion: Strategy = {
  name: 'model_opinion',
  scope: 'market',
  find(market, view) {
    const opinion = view.opinions.get(market.id)
    const books = booksOf(market, view)
    const reason = structureReason(market) ?? opinionReason(opinion, view) ?? (typeof books === 'string' ? books : undefined)
    if (reason !== undefined || opinion === undefined || typeof books === 'string' || market.fees === 'unknown') {
      return pass(reason ?? 'no_opinion')
    }
    const { fees } = market
    const yes = findSide(market, 'YES', books.yes, fees, opinion, view)
    const no = findSide(market, 'NO', books.no, fees, opinion, view)
    return (yes.edge ?? -2) >= (no.edge ?? -2) ? yes : no
  },
}

function opinionReason(opinion: Opinion | undefined, { policy }: View): PassReason | undefined {
  if (opinion === undefined || !(opinion.probability > 0 && opinion.probability < 1)) return 'no_opinion'
  // Said this way round, a confidence that is no number is low.
  return opinion.confidence >= policy.minConfidence && opinion.confidence <= 1 ? undefined : 'low_confidence'
}

function booksOf(market: Market, { books, trust }: View): { yes: Book; no: Book } | PassReason {
  const [yes, no] = [books.get(tokenOf(market, 'YES') ?? ''), books.get(tokenOf(market, 'NO') ?? '')]
  if (yes === undefined || no === undefined) return 'no_book'
  const doubt = bookDoubt(yes, market.quote, trust) ?? bookDoubt(no, {}, trust)
  if (doubt !== undefined) return doubt
  return booksAgree(yes, no) ? { yes, no } : 'books_disagree'
}

function findSide(market: Market, side: Side, book: Book, fees: Fees, opinion: Opinion, { policy }: View): Finding {
  const probability = side === 'YES' ? opinion.probability : 1 - opinion.probability
  const bought = buyFor(policy.stake, book, fees)
  const edge = edgeOf(probability, bought)
  if (edge === undefined) return pass(book.asks.length === 0 ? 'one_sided' : 'below_minimum')
  if (edge < policy.minEdge) return pass('edge_below_threshold', edge)
  if (!isTakeable(bought, book.minShares)) return pass(bought.left > 0 ? 'thin_book' : 'below_minimum', edge)
  const { cost, fee } = bought
  const leg = legOf(market, side, book.token, bought)
  return { kind: 'opportunity', strategy: 'model_opinion', legs: [leg], edge, cost, fee, confidence: opinion.confidence, probability }
}

/** As many shares as the stake pays, fees included. */
function buyFor(stake: Micro, book: Book, fees: Fees): Walk {
  const best = book.asks[0]
  const most = best === undefined ? 0 : Math.floor(stake / best.price)
  const shares = largest(most, (count) => {
    const { cost, fee } = walk(book.asks, count, 'buy', fees)
    return cost + fee <= stake
  })
  return walk(book.asks, shares, 'buy', fees)
}
