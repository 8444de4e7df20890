import type { Fees } from './fees.ts'
import { onePrice, type Price, type Shares } from './units.ts'

/** Where a value comes from; shown wherever it shows. */
export type SourceName = 'polymarket' | 'replay' | 'simulated'

/** YES is the first outcome, NO the second, whatever they are called. */
export type Side = 'YES' | 'NO'

/** How a market ended, as far as its list entry tells: `undecided` is closed without a verdict yet. */
export type Resolution = 'open' | 'undecided' | 'YES' | 'NO' | 'split'

/** The best bid and ask of YES as the catalogue shows them: cached, for a first look only, never to trade at. */
export interface Quote {
  readonly bid?: Price
  readonly ask?: Price
}

/** The event that a market belongs to. With `negRisk` at most one of its markets pays YES. */
export interface Group {
  readonly id: string
  readonly slug: string
  readonly title: string
  readonly negRisk: boolean
}

/** One market of the catalogue. Texts are of strangers: cleaned and cut, still untrusted. */
export interface Market {
  readonly source: SourceName
  readonly id: string
  readonly conditionId: string
  readonly slug: string
  readonly question: string
  readonly description: string
  readonly outcomes: readonly string[]
  /** Aligned with `outcomes`. */
  readonly tokens: readonly string[]
  /** For display, 0 to 1, aligned with `outcomes`; empty when the market has none. */
  readonly shown: readonly number[]
  readonly quote: Quote
  readonly tick: Price
  readonly minShares: Shares
  readonly fees: Fees | 'unknown'
  /** Dollars of the last 24 hours, of all time, and resting in the book; display figures. */
  readonly volume24h: number
  readonly volume: number
  readonly liquidity: number
  /** Ms since 1970; nominal: markets are decided earlier or much later. */
  readonly endsAt?: number
  readonly updatedAt?: number
  readonly active: boolean
  readonly closed: boolean
  readonly archived: boolean
  readonly accepting: boolean
  readonly hasBook: boolean
  /** Whether somebody has proposed or disputed how it ends. */
  readonly deciding: boolean
  readonly resolution: Resolution
  readonly group?: Group
  readonly negRisk: boolean
  /** What its event calls it. */
  readonly title: string
  /** Whether it stands for every outcome that its event does not name. */
  readonly isOther: boolean
  /** Fields that were there and made no sense. */
  readonly odd: readonly string[]
}

/** An event with all of its markets, as only a list of events shows it: a page of markets never tells which ones are missing. */
export interface MarketEvent extends Group {
  readonly source: SourceName
  readonly markets: readonly Market[]
  /** Entries that could not be read; an event that has any is not complete. */
  readonly unread: number
}

/** The token that pays when this side wins. */
export function tokenOf(market: Market, side: Side): string | undefined {
  return market.tokens[side === 'YES' ? 0 : 1]
}

/** The best bid for a side as the catalogue shows it: whoever asks p for YES bids 1 − p for NO. */
export function quotedBid({ quote: { bid, ask } }: Market, side: Side): Price | undefined {
  if (side === 'YES') return bid
  return ask === undefined ? undefined : onePrice - ask
}
