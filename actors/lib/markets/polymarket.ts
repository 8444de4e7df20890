import { ActorError } from 'troupe/actor'
import * as z from 'zod'
import { type Book, parseBook } from './book.ts'
import { type Page, parseEventPage, parseMarket, parseMarketPage } from './gamma.ts'
import type { Market } from './market.ts'
import { createPolite, type PoliteOptions, politeDefaults } from './polite.ts'
import type { Cancel, HistoryOptions, MarketSource, PageOptions, PricePoint } from './source.ts'

export interface PolymarketOptions extends Partial<Omit<PoliteOptions, 'fetch'>> {
  readonly fetch: PoliteOptions['fetch']
  readonly gamma?: string
  readonly clob?: string
  readonly now?: () => number
}

/** Where the live source connects; an actor that uses it lists them as its origins. */
export const polymarketOrigins = ['https://gamma-api.polymarket.com', 'https://clob.polymarket.com'] as const

const largestPage = 100
const healthTimeout = 4_000
const booksAtOnce = 100
const found = z.object({ events: z.array(z.object({ markets: z.array(z.unknown()).default([]) })).default([]) })
const points = z.object({ history: z.array(z.object({ t: z.number(), p: z.number().min(0).max(1) })) })

/** The live exchange: reads its public catalogue and books, and nothing else. */
export function createPolymarket({
  gamma = polymarketOrigins[0],
  clob = polymarketOrigins[1],
  now = Date.now,
  ...rest
}: PolymarketOptions): MarketSource {
  const polite = createPolite({ ...politeDefaults, ...rest })
  // Whoever asks how it is waits for the answer, as a start does.
  const brisk = createPolite({ ...politeDefaults, ...rest, attempts: 1, timeout: healthTimeout })
  const name = 'polymarket'

  async function list<Item>(
    path: string,
    order: string,
    options: PageOptions,
    parse: (value: unknown, source: typeof name) => Page<Item> | undefined,
  ) {
    const limit = Math.min(options.limit ?? largestPage, largestPage)
    // The lists ignore a parameter called cursor, and hand out their first page for ever.
    const after = options.cursor === undefined ? {} : { after_cursor: options.cursor }
    const url = address(gamma, path, { closed: false, order, ascending: false, limit, ...after })
    const page = parse(await polite(url, only(options)), name)
    return page ?? unreadable(url)
  }

  async function someBooks(tokens: readonly string[], options: Cancel): Promise<readonly Book[]> {
    const url = address(clob, '/books')
    const answer = z
      .array(z.unknown())
      .safeParse(await polite(url, { ...only(options), body: tokens.map((token) => ({ token_id: token })) }))
    if (!answer.success) return unreadable(url)
    const asked = new Set(tokens)
    const read = answer.data.map((entry) => parseBook(entry, { source: name, seen: now() }))
    return read
      .filter((one) => one.ok)
      .map(({ book }) => book)
      .filter(({ token }) => asked.has(token))
  }

  return {
    name,
    now,
    markets: (options = {}) => list('/markets/keyset', 'volume24hr', options, parseMarketPage),
    events: (options = {}) => list('/events/keyset', 'volume24hr', options, parseEventPage),
    async search(words, { limit = 20, ...options } = {}) {
      const url = address(gamma, '/public-search', { q: words, limit_per_type: Math.min(limit, 50), events_status: 'active' })
      const answer = found.safeParse(await polite(url, only(options)))
      if (!answer.success) return unreadable(url)
      const markets = answer.data.events.flatMap(({ markets }) => markets.map((entry) => parseMarket(entry, name)))
      return markets
        .filter((market) => market !== undefined)
        .filter(isOpen)
        .slice(0, limit)
    },
    async market(id, options = {}) {
      const answer = await polite(address(gamma, `/markets/${encodeURIComponent(id)}`), only(options))
      return answer === undefined ? undefined : parseMarket(answer, name)
    },
    async books(tokens, options = {}) {
      const books = new Map<string, Book>()
      for (let at = 0; at < tokens.length; at += booksAtOnce) {
        for (const book of await someBooks(tokens.slice(at, at + booksAtOnce), options)) books.set(book.token, book)
      }
      return books
    },
    async history(token, { interval = '1d', fidelity = 60, ...options }: HistoryOptions = {}) {
      const url = address(clob, '/prices-history', { market: token, interval, fidelity })
      const answer = await polite(url, only(options))
      if (answer === undefined) return []
      const read = points.safeParse(answer)
      return read.success ? read.data.history.map(({ t, p }): PricePoint => ({ at: t * 1_000, price: p })) : unreadable(url)
    },
    async health(options = {}) {
      try {
        const page = parseMarketPage(await brisk(address(gamma, '/markets/keyset', { closed: false, limit: 1 }), only(options)), name)
        const isThere = page !== undefined && page.items.length > 0
        return { ok: isThere, detail: isThere ? 'live, read only' : 'the list of markets is empty' }
      } catch (cause) {
        options.signal?.throwIfAborted()
        return { ok: false, detail: cause instanceof Error ? cause.message : String(cause) }
      }
    },
  }
}

function isOpen({ closed, archived, active }: Market): boolean {
  return active && !closed && !archived
}

function only({ signal }: Cancel): Cancel {
  return signal === undefined ? {} : { signal }
}

function address(base: string, path: string, query: Readonly<Record<string, string | number | boolean>> = {}): string {
  const url = new URL(path, base)
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value))
  return url.href
}

function unreadable(url: string): never {
  throw new ActorError('SOURCE_FAILED', `${new URL(url).pathname}: the answer is not what is documented`, { details: { url } })
}
