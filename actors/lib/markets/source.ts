import type { Book } from './book.ts'
import type { Page } from './gamma.ts'
import type { Market, MarketEvent, SourceName } from './market.ts'

/** Where markets, books and prices come from. What cannot be had throws an ActorError SOURCE_FAILED; what is not there is undefined or absent. */
export interface MarketSource {
  readonly name: SourceName
  /** What time it is there, ms since 1970: a recording has its own. */
  now(): number
  /** One page of open markets, the liveliest first. */
  markets(options?: PageOptions): Promise<Page<Market>>
  /** One page of open events with all of their markets. */
  events(options?: PageOptions): Promise<Page<MarketEvent>>
  /** Markets whose text has these words. */
  search(words: string, options?: { readonly limit?: number } & Cancel): Promise<readonly Market[]>
  /** One market as it is now, closed ones too; by id. */
  market(id: string, options?: Cancel): Promise<Market | undefined>
  /** The books of these tokens; those that have none, or one that makes no sense, are absent. */
  books(tokens: readonly string[], options?: Cancel): Promise<ReadonlyMap<string, Book>>
  /** Displayed prices of a token, oldest first: what somebody saw, not what anybody could trade at. */
  history(token: string, options?: HistoryOptions): Promise<readonly PricePoint[]>
  /** Whether it answers at this moment, and what people should know of it. */
  health(options?: Cancel): Promise<Health>
}

export interface Cancel {
  readonly signal?: AbortSignal
}

export interface PageOptions extends Cancel {
  readonly cursor?: string
  readonly limit?: number
}

export interface HistoryOptions extends Cancel {
  readonly interval?: '1h' | '6h' | '1d' | '1w' | '1m' | 'max'
  /** Minutes between points. */
  readonly fidelity?: number
}

export interface PricePoint {
  /** Ms since 1970. */
  readonly at: number
  /** 0 to 1. */
  readonly price: number
}

export interface Health {
  readonly ok: boolean
  readonly detail: string
}

/** How far back an interval goes, in ms. */
export const spans: Readonly<Record<NonNullable<HistoryOptions['interval']>, number>> = {
  '1h': 3_600_000,
  '6h': 21_600_000,
  '1d': 86_400_000,
  '1w': 604_800_000,
  '1m': 2_592_000_000,
  max: Number.POSITIVE_INFINITY,
}

/**
 * Reads page after page until the list or `most` pages end. A list that hands out the same first entry again is going round in circles:
 * that ends it too.
 */
export async function* allPages<Item extends { readonly id: string }>(
  read: (options: PageOptions) => Promise<Page<Item>>,
  { most, ...options }: PageOptions & { readonly most: number },
): AsyncGenerator<Page<Item>> {
  const firsts = new Set<string>()
  let cursor = options.cursor
  for (let count = 0; count < most; count++) {
    const page = await read({ ...options, ...(cursor !== undefined && { cursor }) })
    const first = page.items[0]?.id ?? page.unread[0]?.id
    if (first !== undefined && firsts.has(first)) return
    if (first !== undefined) firsts.add(first)
    yield page
    if (page.cursor === undefined || page.cursor === cursor) return
    cursor = page.cursor
  }
}
