import * as z from 'zod'
import type { Trust } from '../markets/book.ts'
import type { Market } from '../markets/market.ts'
import type { StrategyName } from '../markets/strategies/strategy.ts'
import { type Filter, type SkipReason, skipReason, structureReason } from '../markets/tradable.ts'

const hour = 3_600_000

/** What a market must have to be traded: dollars, ms, and prices of YES between 0 and 1. */
export const filterArgs = z
  .object({
    minVolume24h: z.number().min(0).default(1_000),
    minLiquidity: z.number().min(0).default(500),
    /** Ms until its nominal end. */
    minTimeLeft: z.number().min(0).default(hour),
    maxSpread: z.number().min(0).max(1).default(0.05),
    band: z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)]).default([0.05, 0.95]),
  })
  .prefault({}) satisfies z.ZodType<Filter>

/** How far a book is believed: half a minute old at most, its middle within five cents of the catalogue's. */
export function trustAt(now: number): Trust {
  return { now, maxAge: 30_000, drift: 500 }
}

/** The event whose markets are one position, because at most one of them pays. */
export function eventOf({ group }: Market): string | undefined {
  return group?.negRisk ? group.id : undefined
}

/**
 * Why a market is left alone by a strategy. One leg of an event may be as unlikely and quiet as it likes: the set is judged as a whole,
 * by its books.
 */
export function skipFor(strategy: StrategyName, market: Market, filter: Filter, now: number): SkipReason | undefined {
  if (strategy !== 'neg_risk') return skipReason(market, filter, now)
  const structure = structureReason(market)
  if (structure !== undefined) return structure
  if (market.endsAt === undefined) return 'no_end_date'
  return market.endsAt - now <= filter.minTimeLeft ? 'ends_too_soon' : undefined
}
