import type { Book, Trust } from '../markets/book.ts'
import type { Market, MarketEvent } from '../markets/market.ts'
import { tokenOf } from '../markets/market.ts'
import { allPages, type Cancel, type MarketSource } from '../markets/source.ts'
import { completeLegs } from '../markets/strategies/neg-risk.ts'
import { type Filter, skipReason } from '../markets/tradable.ts'
import { skipFor, trustAt } from './market-args.ts'

/** How much of a source is looked at. */
export interface Reach {
  readonly pages: number
  readonly eventPages: number
  readonly shortList: number
  readonly filter: Filter
}

/** What was seen of a source at one moment. */
export interface Survey {
  readonly seen: number
  readonly tradable: number
  /** The liveliest that can be traded. */
  readonly markets: readonly Market[]
  /** Those that list all of their markets. */
  readonly events: readonly MarketEvent[]
  readonly books: ReadonlyMap<string, Book>
  readonly skipped: readonly string[]
  readonly trust: Trust
}

/** Reads the lists, leaves out what cannot be traded, and takes the books of what is left. */
export async function survey(source: MarketSource, { pages, eventPages, shortList, filter }: Reach, cancel: Cancel): Promise<Survey> {
  const skipped: string[] = []
  const tradable = new Map<string, Market>()
  const seen = new Set<string>()
  for await (const { items, unread } of allPages((page) => source.markets(page), { ...cancel, most: pages })) {
    skipped.push(...unread.map(({ reason }) => reason))
    for (const market of items) {
      if (seen.has(market.id)) continue
      seen.add(market.id)
      const reason = skipReason(market, filter, source.now())
      if (reason === undefined) tradable.set(market.id, market)
      else skipped.push(reason)
    }
  }
  const markets = [...tradable.values()].toSorted((one, other) => other.volume24h - one.volume24h).slice(0, shortList)
  const events = await completeEvents(source, eventPages, filter, cancel)
  const wanted = [...markets, ...events.flatMap((event) => event.markets)]
  const tokens = wanted.flatMap((market) => [tokenOf(market, 'YES'), tokenOf(market, 'NO')]).filter((token) => token !== undefined)
  const books = tokens.length === 0 ? new Map<string, Book>() : await source.books([...new Set(tokens)], cancel)
  return { seen: seen.size, tradable: tradable.size, markets, events, books, skipped, trust: trustAt(source.now()) }
}

async function completeEvents(source: MarketSource, most: number, filter: Filter, cancel: Cancel): Promise<readonly MarketEvent[]> {
  const events: MarketEvent[] = []
  if (most === 0) return events
  for await (const { items } of allPages((page) => source.events(page), { ...cancel, most })) {
    events.push(
      ...items.filter((event) => completeLegs(event)?.every((leg) => skipFor('neg_risk', leg, filter, source.now()) === undefined)),
    )
  }
  return events
}
