import { type Book, mirror } from './book.ts'
import type { Page, Unread } from './gamma.ts'
import type { Market, MarketEvent, Resolution } from './market.ts'
import type { Recording, Snapshot, Verdict } from './recording.ts'
import { type MarketSource, type PageOptions, spans } from './source.ts'
import { oneShare, type Shares } from './units.ts'

export interface ReplayOptions {
  /** What `readRecording` read from a folder. */
  readonly recording: Recording
  /** The replay's own time, ms since 1970; nothing that was recorded later is shown. */
  readonly now: () => number
  /** What a quote is taken to hold where no book was recorded. */
  readonly quotedShares?: Shares
}

/**
 * Shows a recording as it was at `now`: the newest list entry of every market, the newest book of every token, and how a market ended only
 * once it had. Where no book was recorded it makes one of a single level from the quote and says so (`depth: 'quoted'`): its size is invented.
 */
export function createReplay({ recording, now, quotedShares = 100 * oneShare }: ReplayOptions): MarketSource {
  const state = stateOf(recording)

  function marketAt(id: string): Market | undefined {
    const market = newest(state.markets.get(id), now())
    const verdict = recording.verdicts.get(id)
    return market && verdict && verdict.at <= now() ? decided(market, verdict) : market
  }

  function bookOf(token: string): Book | undefined {
    const found = newest(state.books.get(token), now())
    const market = marketAt(state.marketOfToken.get(token) ?? '')
    const other = market?.tokens.find((one) => one !== token)
    const opposite = found === undefined && other !== undefined ? newest(state.books.get(other), now()) : undefined
    const book = found ?? (opposite && mirror(opposite, token)) ?? (market && quoted(market, token, quotedShares))
    return book && { ...book, seen: now() }
  }

  const openMarkets = () =>
    [...state.markets.keys()]
      .map(marketAt)
      .filter((market) => market !== undefined)
      .filter(({ closed }) => !closed)
      .toSorted((one, other) => other.volume24h - one.volume24h || Number(one.id) - Number(other.id))

  const eventsNow = () =>
    [...state.events.keys()]
      .map((id) => newest(state.events.get(id), now()))
      .filter((event) => event !== undefined)
      .map((event): MarketEvent => ({ ...event, markets: event.markets.map((market) => marketAt(market.id) ?? market) }))

  return {
    name: 'replay',
    now,
    markets: async (options) => pageOf(openMarkets(), options),
    events: async (options) => pageOf(eventsNow(), options),
    async search(words, { limit = 20 } = {}) {
      return openMarkets()
        .filter(({ question }) => question.toLowerCase().includes(words.toLowerCase()))
        .slice(0, limit)
    },
    market: async (id) => marketAt(id),
    async books(tokens) {
      const books = tokens.map(bookOf).filter((book) => book !== undefined)
      return new Map(books.map((book) => [book.token, book]))
    },
    async history(token, { interval = '1d' } = {}) {
      const points = recording.histories.get(token) ?? []
      return points.filter(({ at }) => at <= now() && at > now() - spans[interval])
    },
    async health() {
      const count = openMarkets().length
      return { ok: count > 0, detail: `recorded: ${count} markets at ${new Date(now()).toISOString()}` }
    },
  }
}

/** When the first list of a recording was seen, and the last thing of all. */
export function spanOf({ markets, events, books }: Recording): { readonly begins: number; readonly ends: number } {
  const lists = [...markets, ...events].map(({ at }) => at)
  if (lists.length === 0) return { begins: 0, ends: 0 }
  return { begins: Math.min(...lists), ends: Math.max(...lists, ...books.map(({ at }) => at)) }
}

interface Timed<Value> {
  readonly at: number
  readonly value: Value
}

/** Everything by what it is about, oldest first. */
function stateOf({ markets, events, books }: Recording) {
  const state = {
    markets: new Map<string, Timed<Market>[]>(),
    events: new Map<string, Timed<MarketEvent>[]>(),
    books: new Map<string, Timed<Book>[]>(),
    marketOfToken: new Map<string, string>(),
  }
  const nested = events.map(({ items, ...rest }): Snapshot<Market> => ({ ...rest, items: items.flatMap((event) => event.markets) }))
  for (const { at, items } of [...markets, ...nested].toSorted((one, other) => one.at - other.at)) {
    for (const market of items) {
      add(state.markets, market.id, { at, value: market })
      for (const token of market.tokens) state.marketOfToken.set(token, market.id)
    }
  }
  for (const { at, items } of events) for (const event of items) add(state.events, event.id, { at, value: event })
  for (const book of books) add(state.books, book.token, { at: book.at, value: book })
  return state
}

function add<Value>(map: Map<string, Timed<Value>[]>, key: string, entry: Timed<Value>): void {
  map.set(key, [...(map.get(key) ?? []), entry])
}

function newest<Value>(entries: readonly Timed<Value>[] | undefined, now: number): Value | undefined {
  return entries?.findLast(({ at }) => at <= now)?.value
}

function decided(market: Market, { winner }: Verdict): Market {
  const side: Resolution = winner === market.outcomes[0] ? 'YES' : winner === market.outcomes[1] ? 'NO' : 'undecided'
  const shown = side === 'YES' ? [1, 0] : side === 'NO' ? [0, 1] : []
  return { ...market, closed: true, accepting: false, resolution: side, shown }
}

function quoted(market: Market, token: string, shares: Shares): Book {
  const { source, quote, tick, minShares, updatedAt: at = 0 } = market
  const level = (price: number | undefined) => (price === undefined ? [] : [{ price, shares }])
  const yes: Book = {
    ...{ source, depth: 'quoted', token: market.tokens[0] ?? token, at, seen: at, hash: `quoted ${at}`, tick, minShares },
    bids: level(quote.bid),
    asks: level(quote.ask),
  }
  return token === yes.token ? yes : mirror(yes, token)
}

/** Cuts a list into pages; a cursor is the place where the next one starts. */
export function pageOf<Item>(items: readonly Item[], { cursor, limit = 100 }: PageOptions = {}): Page<Item> {
  const from = /^\d{1,9}$/.test(cursor ?? '') ? Number(cursor) : 0
  const next = from + limit
  const unread: readonly Unread[] = []
  return { items: items.slice(from, next), unread, ...(next < items.length && { cursor: String(next) }) }
}
