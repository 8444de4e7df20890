import type { Market } from './market.ts'
import { onePrice } from './units.ts'

/** Why a market is left alone, in the order in which it is asked. */
export type SkipReason =
  | 'bad_value'
  | 'closed'
  | 'archived'
  | 'inactive'
  | 'no_order_book'
  | 'not_accepting_orders'
  | 'being_decided'
  | 'not_binary'
  | 'no_tokens'
  | 'fees_unknown'
  | 'no_end_date'
  | 'ends_too_soon'
  | 'low_volume'
  | 'low_liquidity'
  | 'one_sided'
  | 'crossed_quote'
  | 'wide_spread'
  | 'outside_band'

/** What a market must have before its book is asked for. Dollars, ms, and prices of YES between 0 and 1. */
export interface Filter {
  readonly minVolume24h: number
  readonly minLiquidity: number
  readonly minTimeLeft: number
  readonly maxSpread: number
  readonly band: readonly [number, number]
}

/** Nothing rules a market out but what makes trading impossible. */
export const anyMarket: Filter = { minVolume24h: 0, minLiquidity: 0, minTimeLeft: 0, maxSpread: 1, band: [0, 1] }

/** Why this market cannot or shall not be traded; undefined when it can. */
export function skipReason(market: Market, filter: Filter, now: number): SkipReason | undefined {
  return structureReason(market) ?? timeReason(market, filter, now) ?? figureReason(market, filter) ?? quoteReason(market, filter)
}

/** Whether orders can be placed there at all, whatever it is worth. */
export function structureReason(market: Market): SkipReason | undefined {
  if (market.odd.length > 0) return 'bad_value'
  if (market.closed) return 'closed'
  if (market.archived) return 'archived'
  if (!market.active) return 'inactive'
  if (!market.hasBook) return 'no_order_book'
  if (!market.accepting) return 'not_accepting_orders'
  if (market.deciding) return 'being_decided'
  if (market.outcomes.length !== 2) return 'not_binary'
  if (market.tokens.length !== 2 || market.tokens[0] === market.tokens[1]) return 'no_tokens'
  return market.fees === 'unknown' ? 'fees_unknown' : undefined
}

function timeReason({ endsAt }: Market, { minTimeLeft }: Filter, now: number): SkipReason | undefined {
  if (endsAt === undefined) return 'no_end_date'
  return endsAt - now <= minTimeLeft ? 'ends_too_soon' : undefined
}

function figureReason({ volume24h, liquidity }: Market, filter: Filter): SkipReason | undefined {
  if (volume24h < filter.minVolume24h) return 'low_volume'
  // A book without anything in it shows as liquidity 0.
  return liquidity <= 0 || liquidity < filter.minLiquidity ? 'low_liquidity' : undefined
}

function quoteReason({ quote: { bid, ask } }: Market, { maxSpread, band: [low, high] }: Filter): SkipReason | undefined {
  if (bid === undefined || ask === undefined) return 'one_sided'
  if (bid >= ask) return 'crossed_quote'
  if (ask - bid > maxSpread * onePrice) return 'wide_spread'
  const middle = (bid + ask) / 2 / onePrice
  return middle < low || middle > high ? 'outside_band' : undefined
}
