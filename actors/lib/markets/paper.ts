import type { Book } from './book.ts'
import { type Broker, type FillReport, type Order, type Outcome, orderProblem, refused } from './broker.ts'
import { feeOf } from './fees.ts'
import { minBuy } from './strategies/strategy.ts'
import { costOf, onePrice } from './units.ts'
import { afterFills, type Fill, largest, type Walk, walk } from './walk.ts'

/** What the paper broker stands on. */
export interface PaperOptions {
  /** The book of a token at this moment; undefined where there is none. */
  book(token: string, signal?: AbortSignal): Promise<Book | undefined>
  now(): number
  /** How old a snapshot may be, in ms. */
  readonly maxAge?: number
}

// So many snapshots are remembered for what was taken out of them, and so many orders for their outcome.
const remembered = 1_000

/**
 * Trades on paper: an order takes from the book what it could take from the real one (immediate or cancel), and pays its fees. What it
 * takes is gone from that snapshot for later orders. It remembers for as long as it lives, so an order that is asked about after a restart
 * is walked again: nothing on paper happens before its outcome is kept.
 */
export function createPaper({ book: bookOf, now, maxAge = 30_000 }: PaperOptions): Broker {
  const taken = new Map<string, { bids: readonly Fill[]; asks: readonly Fill[] }>()
  const known = new Map<string, Outcome>()
  let last: Promise<unknown> = Promise.resolve()

  async function place(order: Order, { signal }: { readonly signal?: AbortSignal } = {}): Promise<Outcome> {
    // One at a time: two orders must not find the same shares.
    const turn = last.then(() => known.get(order.key) ?? trade(order, signal))
    last = turn.catch(() => undefined)
    return turn
  }

  async function trade(order: Order, signal?: AbortSignal): Promise<Outcome> {
    const problem = orderProblem(order)
    if (problem !== undefined) return refused('bad_order', problem)
    const book = await bookOf(order.token, signal)
    if (book === undefined) return refused('no_book', order.token)
    if (now() - book.seen > maxAge) return refused('stale_book', `${now() - book.seen} ms old`)
    const used = taken.get(snapshotOf(book)) ?? { bids: [], asks: [] }
    const rest = { ...book, bids: afterFills(book.bids, used.bids), asks: afterFills(book.asks, used.asks) }
    const outcome = fill(order, rest)
    if (outcome.kind === 'filled') {
      const side = order.way === 'buy' ? 'asks' : 'bids'
      keep(taken, snapshotOf(book), { ...used, [side]: [...used[side], ...outcome.fills] })
      keep(known, order.key, outcome)
    }
    return outcome
  }

  return {
    name: 'paper',
    isLive: false,
    reserve: ({ shares, limit, fees }) => costOf(limit, shares) + feeOf(fees, limit, shares),
    place,
    reconcile: place,
    positions: async () => [],
  }
}

function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > remembered && oldest !== undefined) map.delete(oldest)
}

function snapshotOf({ token, hash, at }: Book): string {
  return `${token} ${at} ${hash}`
}

/** What a book makes of an order. */
export function fill(order: Order, book: Book): Outcome {
  if (order.limit % book.tick !== 0) return refused('off_tick', `limit ${order.limit} is no multiple of ${book.tick}`)
  // Selling too is refused below the minimum: the exchange may refuse it, so paper must not pretend.
  if (order.shares < book.minShares) return refused('below_minimum', `${order.shares} of at least ${book.minShares} hundredths of a share`)
  const worth = Math.min(order.budget, costOf(order.limit, order.shares))
  if (order.way === 'buy' && worth < minBuy) return refused('below_minimum', 'a purchase of less than a dollar')
  const got = affordable(order, book)
  if (got.shares === 0) return refused(got.left === 0 ? 'over_budget' : 'no_match', 'nothing at this limit and budget')
  if (order.whole && got.shares < order.shares) return refused('not_whole', `${got.shares} of ${order.shares} hundredths of a share`)
  const { shares, cost, fee, fills } = got
  return { kind: 'filled', shares, cost, fee, fills, isEstimate: false, report: reportOf(got, book, order) }
}

/** The walk of an order, cut down to what its budget pays. */
function affordable({ way, shares, limit, budget, fees }: Order, { bids, asks }: Book): Walk {
  if (way === 'sell') return walk(bids, shares, way, fees, limit)
  const isPaid = ({ cost, fee }: Walk) => cost + fee <= budget
  const whole = walk(asks, shares, way, fees, limit)
  if (isPaid(whole)) return whole
  return walk(
    asks,
    largest(whole.shares, (count) => isPaid(walk(asks, count, way, fees, limit))),
    way,
    fees,
    limit,
  )
}

function reportOf({ cost, shares, fills }: Walk, { bids, asks }: Book, { way }: Order): FillReport {
  const average = cost / shares / onePrice
  const [bid, ask] = [bids[0]?.price, asks[0]?.price]
  if (bid === undefined || ask === undefined) return { average, levels: fills.length }
  const middle = (bid + ask) / 2 / onePrice
  const worse = way === 'buy' ? average - middle : middle - average
  return { average, middle, slippage: (worse / middle) * 10_000, levels: fills.length }
}
