import * as z from 'zod'
import type { Leg, Opportunity, StrategyName } from '../markets/strategies/strategy.ts'
import { dollars, priceOf, shareCount } from '../markets/units.ts'
import { platformOf } from './source-name.ts'

/** Ids of the exchange are decimal; what is anything else is somebody's text, and goes no further. */
export const marketId = z.string().regex(/^\d{1,20}$/)
const side = z.enum(['YES', 'NO'])
const part = z.number().min(0).max(1)
const amount = z.number().min(0)

/** One purchase of an opportunity, in dollars and whole shares as people and other programs read it. */
const leg = z.looseObject({ market_id: marketId, side, token: z.string().regex(/^\d{1,80}$/), shares: amount, limit: part })

/** What a job or an opportunity of ours says beyond what every program of the system knows. */
const ours = {
  /** Where the market is: polymarket, replay:<folder> or simulated:<seed>. */
  source: z.string().min(1).max(500).nullish(),
  strategy: z.enum(['complete_set', 'neg_risk', 'model_opinion']).nullish(),
  /** That the side pays. */
  probability: z.number().gt(0).lt(1).nullish(),
  legs: z.array(leg).min(1).max(100).nullish(),
}

/** The payload of execute_trade. The first five fields are those of every agent of the system, older ones too. */
export const executeTrade = z.looseObject({
  opportunity_id: z.guid(),
  market_id: marketId,
  side,
  amount: amount.nullish(),
  confidence: part.nullish(),
  ...ours,
})
export type ExecuteTrade = z.output<typeof executeTrade>

/** The payload of deep_research (and research): which market, and where it is. */
export const deepResearch = z.looseObject({
  market_id: marketId,
  /** Of strangers: to be shown to a model as untrusted text, never to be obeyed. */
  question: z.string().max(2_000).nullish(),
  source: ours.source,
  opportunity_id: z.guid().nullish(),
})
export type DeepResearch = z.output<typeof deepResearch>

/** What `details` of an opportunity of ours holds. */
export const opportunityDetails = z.looseObject(ours)

/** What was found, with what has to be known to publish it. */
export interface Discovery {
  /** A uuid that a repeated turn makes again: ctx.id. */
  readonly id: string
  readonly finding: Opportunity
  readonly source: string
  readonly question: string
  readonly by: string
  /** Of the event whose markets are risked together. */
  readonly eventId?: string | undefined
  /** Ms. */
  readonly expiresIn: number
  readonly method?: string
  readonly summary?: string
}

/** At most one opportunity with this key is live: one a market, and one a whole event. */
export function liveKey(
  source: string,
  strategy: StrategyName,
  ids: { readonly marketId: string; readonly eventId?: string | undefined },
): string {
  return strategy === 'neg_risk' ? `event:${source}:${ids.eventId}` : `market:${source}:${ids.marketId}`
}

/** The argument of publish_opportunity for a discovery: the opportunity with its execute_trade job and the broadcast. */
export function publication({ id, finding, source, question, by, eventId, expiresIn, method, summary }: Discovery) {
  const [first] = finding.legs
  const { strategy, probability } = finding
  const details = { source, strategy, probability: probability ?? null, legs: finding.legs.map(written) }
  const dedupe_key = liveKey(source, strategy, { marketId: first.marketId, eventId })
  return {
    opportunity: {
      ...{ id, market_id: first.marketId, market_question: question, side: first.side, platform: platformOf(source) },
      current_price: averageOf(first),
      ...(probability !== undefined && { target_price: probability }),
      suggested_position: dollars(finding.cost + finding.fee),
      confidence: finding.confidence,
      edge: Math.min(1, Math.max(-1, finding.edge)),
      ...(summary !== undefined && { research_summary: summary }),
      ...(eventId !== undefined && { event_id: eventId }),
      ...{ discovered_by: by, discovery_method: method ?? strategy, expires_in_ms: expiresIn, dedupe_key, details },
    },
    // A job that is repeated buys nothing twice, so a process may die of anything a few times.
    job: { max_attempts: 10, payload: details },
  }
}

function averageOf({ cost, shares }: Leg): number {
  return shares === 0 ? 0 : cost / shares / 10_000
}

function written({ marketId: market_id, side: of, token, shares, limit, cost, fee }: Leg) {
  return { market_id, side: of, token, shares: shareCount(shares), limit: priceOf(limit), cost: dollars(cost), fee: dollars(fee) }
}
