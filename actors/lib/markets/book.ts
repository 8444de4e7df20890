import * as z from 'zod'
import type { SourceName } from './market.ts'
import { onePrice, type Price, type Shares } from './units.ts'

/** So many shares are offered or asked for at this price. */
export interface Level {
  readonly price: Price
  readonly shares: Shares
}

/** The orders that rest for one token, the best of each side first. */
export interface Book {
  readonly source: SourceName
  readonly token: string
  /** Where the levels come from: the exchange's book, or one level made from a quote because nobody recorded more. */
  readonly depth: 'full' | 'quoted'
  /** Ms since 1970: when the exchange made this snapshot, and when we got it. */
  readonly at: number
  readonly seen: number
  /** The exchange's name for this snapshot; the same hash is the same book. */
  readonly hash: string
  readonly tick: Price
  readonly minShares: Shares
  readonly bids: readonly Level[]
  readonly asks: readonly Level[]
}

/** Why a book is not used. */
export type BookProblem = 'malformed' | 'off_tick' | 'crossed'

export type ReadBook =
  | { readonly ok: true; readonly book: Book }
  | { readonly ok: false; readonly reason: BookProblem; readonly token?: string }

const decimal = z.union([z.string(), z.number().transform(String)]).pipe(z.string().regex(/^\d{1,12}(\.\d{1,18})?$/))
const level = z.object({ price: decimal, size: decimal })
// The finest tick leaves 9,999 prices.
const levels = z.array(level).max(onePrice)
const named = z.object({ asset_id: z.string().regex(/^\d{1,80}$/) })
const answer = named.extend({
  timestamp: z.coerce.number().min(0),
  hash: z.string().max(200).default(''),
  bids: levels,
  asks: levels,
  tick_size: decimal.default('0.01'),
  min_order_size: decimal.default('5'),
})

/** Reads the exchange's answer for one token. Its arrays end with the best level; ours begin with it. */
export function parseBook(value: unknown, origin: { readonly source: SourceName; readonly seen: number }): ReadBook {
  const parsed = answer.safeParse(value)
  if (!parsed.success) return { ok: false, reason: 'malformed', ...tokenIn(value) }
  const { asset_id: token, timestamp: at, hash, tick_size, min_order_size } = parsed.data
  const refuse = (reason: BookProblem): ReadBook => ({ ok: false, reason, token })
  const tick = wholePrice(tick_size)
  if (tick === undefined || tick === 0) return refuse('malformed')
  const bids = readLevels(parsed.data.bids, tick)?.toSorted((one, other) => other.price - one.price)
  const asks = readLevels(parsed.data.asks, tick)?.toSorted((one, other) => one.price - other.price)
  if (bids === undefined || asks === undefined) return refuse('off_tick')
  if (bids[0] && asks[0] && bids[0].price >= asks[0].price) return refuse('crossed')
  const minShares = hundredths(min_order_size)
  return { ok: true, book: { ...origin, token, depth: 'full', at, hash, tick, minShares, bids, asks } }
}

function tokenIn(value: unknown): { token?: string } {
  const token = named.safeParse(value).data?.asset_id
  return token === undefined ? {} : { token }
}

function readLevels(raw: readonly z.output<typeof level>[], tick: Price): Level[] | undefined {
  const read: Level[] = []
  for (const { price: text, size } of raw) {
    const price = wholePrice(text)
    if (price === undefined || price < tick || price > onePrice - tick || price % tick !== 0) return undefined
    const shares = hundredths(size)
    if (shares > 0) read.push({ price, shares })
  }
  return read
}

/** A decimal text as a Price, without a detour through binary fractions; undefined when it has too many decimals. */
function wholePrice(text: string): Price | undefined {
  const [whole = '', fraction = ''] = text.split('.')
  if (/[1-9]/.test(fraction.slice(4))) return undefined
  return Number(whole + fraction.slice(0, 4).padEnd(4, '0'))
}

/** A decimal text as Shares; what is beyond the second decimal is cut off. */
function hundredths(text: string): Shares {
  const [whole = '', fraction = ''] = text.split('.')
  return Number(whole + fraction.slice(0, 2).padEnd(2, '0'))
}

/** The book of the other token: whoever bids p for YES asks 1 − p for NO. */
export function mirror(book: Book, token: string): Book {
  const turn = ({ price, shares }: Level): Level => ({ price: onePrice - price, shares })
  return { ...book, token, bids: book.asks.map(turn), asks: book.bids.map(turn) }
}

/** Why a book is not to be trusted at this moment; undefined when nothing speaks against it. */
export function bookDoubt(
  book: Book,
  quote: { readonly bid?: Price; readonly ask?: Price },
  limits: Trust,
): 'stale_book' | 'off_quote' | undefined {
  if (limits.now - book.seen > limits.maxAge) return 'stale_book'
  const [bid, ask] = [book.bids[0]?.price, book.asks[0]?.price]
  if (bid === undefined || ask === undefined || quote.bid === undefined || quote.ask === undefined) return undefined
  // The exchange has shown 0.01 to 0.99 for lively tokens while its catalogue was right.
  return Math.abs(bid + ask - quote.bid - quote.ask) / 2 > limits.drift ? 'off_quote' : undefined
}

/** How old a snapshot may be, in ms, and how far its middle may be from the catalogue's. */
export interface Trust {
  readonly now: number
  readonly maxAge: number
  readonly drift: Price
}

/** Whether two books of one market can be of one moment: each is the other's mirror, so no pair of asks costs less than a whole. */
export function booksAgree(yes: Book, no: Book): boolean {
  const [ask, bid] = [sum(yes.asks[0], no.asks[0]), sum(yes.bids[0], no.bids[0])]
  return (ask === undefined || ask >= onePrice) && (bid === undefined || bid <= onePrice)
}

function sum(one: Level | undefined, other: Level | undefined): Price | undefined {
  return one && other && one.price + other.price
}
