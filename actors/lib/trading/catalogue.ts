import { ActorError } from 'troupe/actor'
import type { Book, Level } from '../markets/book.ts'
import type { Market } from '../markets/market.ts'
import { anyMarket, skipReason } from '../markets/tradable.ts'
import { priceOf, shareCount } from '../markets/units.ts'
import { type OpenOptions, type OpenSource, openSource } from './market-source.ts'

/** A market as people see it in a list; prices 0 to 1, money in USD. */
export interface Listed {
  readonly id: string
  readonly question: string
  readonly bid: number | null
  readonly ask: number | null
  readonly volume24h: number
  readonly liquidity: number
  readonly endsAt: string | null
  /** Why nobody could trade it now. */
  readonly skip: string | null
}

/** Where it comes from, and what people should know of that. */
export interface Origin {
  readonly source: string
  readonly isSimulated: boolean
  readonly detail: string
}

export interface Side {
  readonly price: number
  readonly shares: number
}

/** One market with the books of its outcomes, the best levels first. */
export interface Shown extends Listed {
  readonly slug: string
  readonly description: string
  readonly event: string | null
  readonly books: readonly { readonly outcome: string; readonly bids: readonly Side[]; readonly asks: readonly Side[] }[]
}

const shownLevels = 5

/** Lists the liveliest markets. */
export async function trending(name: string, limit: number, options: OpenOptions): Promise<Origin & { markets: Listed[] }> {
  const opened = await openSource(name, options)
  const { items } = await opened.source.markets({ limit })
  return { ...originOf(opened), markets: items.slice(0, limit).map((market) => listed(market, opened)) }
}

/** Lists markets whose text has these words. */
export async function search(name: string, words: string, limit: number, options: OpenOptions): Promise<Origin & { markets: Listed[] }> {
  const opened = await openSource(name, options)
  const found = await opened.source.search(words, { limit })
  return { ...originOf(opened), markets: found.slice(0, limit).map((market) => listed(market, opened)) }
}

/** Shows one market by its id; SOURCE_FAILED when there is none. */
export async function show(name: string, id: string, options: OpenOptions): Promise<Origin & { market: Shown }> {
  const opened = await openSource(name, options)
  const market = await opened.source.market(id)
  if (market === undefined) throw new ActorError('SOURCE_FAILED', `There is no market ${JSON.stringify(id)} at ${opened.name}`)
  const books = await opened.source.books(market.tokens)
  const { slug, description, group } = market
  return {
    ...originOf(opened),
    market: {
      ...listed(market, opened),
      slug,
      description,
      event: group?.title ?? null,
      books: market.outcomes.map((outcome, at) => ({ outcome, ...levelsOf(books.get(market.tokens[at] ?? '')) })),
    },
  }
}

function originOf({ name, isSimulated, detail }: OpenSource): Origin {
  return { source: name, isSimulated, detail }
}

function listed(market: Market, { source }: OpenSource): Listed {
  const { id, question, quote, volume24h, liquidity, endsAt } = market
  return {
    id,
    question,
    bid: quote.bid === undefined ? null : priceOf(quote.bid),
    ask: quote.ask === undefined ? null : priceOf(quote.ask),
    volume24h: Math.round(volume24h),
    liquidity: Math.round(liquidity),
    endsAt: endsAt === undefined ? null : new Date(endsAt).toISOString(),
    skip: skipReason(market, anyMarket, source.now()) ?? null,
  }
}

function levelsOf(book: Book | undefined): { bids: Side[]; asks: Side[] } {
  const side = (levels: readonly Level[] = []) =>
    levels.slice(0, shownLevels).map(({ price, shares }) => ({ price: priceOf(price), shares: shareCount(shares) }))
  return { bids: side(book?.bids), asks: side(book?.asks) }
}
