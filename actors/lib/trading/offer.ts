import * as z from 'zod'
import { type ExecuteTrade, marketId, opportunityDetails } from './opportunity.ts'
import type { Offer } from './review.ts'

const number = z.number().nullish()
const row = z.object({
  id: z.string(),
  market_id: marketId,
  side: z.enum(['YES', 'NO']),
  status: z.string(),
  current_price: number,
  target_price: number,
  confidence: number,
  edge: number,
  event_id: z.string().nullish(),
  expires_at: z
    .string()
    .transform((text) => Date.parse(text))
    .nullish(),
  details: z.record(z.string(), z.unknown()).nullish(),
})

/**
 * What a row of trade_opportunities offers; its job fills in what the row does not say. Rows of other programs have a price and an edge,
 * but no probability: whoever computed that edge took the probability to be their sum. Undefined for a row that makes no sense.
 */
export function offerOf(opportunity: unknown, job: ExecuteTrade, market: string): Offer | undefined {
  const read = row.safeParse(opportunity)
  if (!read.success) return undefined
  const { data } = read
  const details = opportunityDetails.safeParse(data.details ?? {}).data ?? {}
  const strategy = details.strategy ?? job.strategy ?? 'model_opinion'
  const stated = details.probability ?? job.probability ?? data.target_price ?? sumOf(data.current_price, data.edge)
  return {
    ...{ id: data.id, marketId: data.market_id, side: data.side, status: data.status, strategy },
    // Who does not say where a market is means the exchange, also while that does not answer: then the job is tried again.
    source: details.source ?? job.source ?? (market === 'auto' ? 'polymarket' : market),
    eventId: data.event_id ?? undefined,
    confidence: data.confidence ?? job.confidence ?? 0,
    probability: strategy === 'model_opinion' && stated !== undefined && stated > 0 && stated < 1 ? stated : undefined,
    expiresAt: data.expires_at ?? undefined,
  }
}

function sumOf(price: number | null | undefined, edge: number | null | undefined): number | undefined {
  return price == null || edge == null ? undefined : price + edge
}
