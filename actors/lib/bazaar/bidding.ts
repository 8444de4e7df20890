import type { Evaluation, Profile } from './job.ts'
import type { OpenBid } from './state.ts'
import type { MarketBid, MarketJob } from './wire.ts'

const biddable = new Set(['open', 'posted', 'bidding'])
const over = new Set(['rejected', 'withdrawn', 'cancelled'])
/** A bid of so much needs the poster's approval, and stops all other bids. */
const approvalFrom = 10
/** Ms after which a bid that nobody saw arrive did not. */
const unsureFor = 60_000
/** Ms after which a bid that nobody decided on is not asked about any more; if it is won all the same, the list of assignments tells. */
const forgottenAfter = 86_400_000

export interface Rules {
  /** Bids that need an approval are wanted, too. */
  readonly approval: boolean
}

/** Why a job is not to be bid for, before anybody thinks about it; undefined: it may be. The server answers a bare 500 to all of these. */
export function hindrance(job: MarketJob, { capabilities }: Profile): string | undefined {
  if (!biddable.has(job.status)) return `it is ${job.status}`
  if (!(job.budget_usd > 0)) return `its budget is ${job.budget_usd} USD`
  const missing = job.required_capabilities.filter(
    (name) => !Object.hasOwn(capabilities, name) || (capabilities[name] ?? 0) < job.min_capability_score,
  )
  return missing.length > 0 ? `it needs ${missing.join(', ')} of ${job.min_capability_score}` : undefined
}

/** Why an evaluation is no bid. */
export function bidHindrance({ canComplete, priceUsd, reason }: Evaluation, job: MarketJob, { approval }: Rules): string | undefined {
  if (!canComplete) return reason
  if (!(priceUsd > 0)) return `its price would be ${priceUsd} USD`
  if (priceUsd > job.budget_usd) return `it costs ${priceUsd} USD, the budget is ${job.budget_usd}`
  return priceUsd >= approvalFrom && !approval ? `${priceUsd} USD would need an approval` : undefined
}

/** The bid as the server wants it: whole seconds. */
export function bidOf(agent_id: string, { priceUsd, confidence, minutes, reason }: Evaluation) {
  return {
    agent_id,
    price_usd: priceUsd,
    estimated_quality: Math.round(confidence * 1_000) / 1_000,
    estimated_time_seconds: Math.max(1, Math.ceil(minutes * 60)),
    approach_summary: reason.slice(0, 500),
  }
}

/** The bid of an agent that counts: one that is not over, else the last one. */
export function ownBid(job: MarketJob, agentId: string): MarketBid | undefined {
  const own = job.bids.filter(({ agent_id }) => agent_id === agentId)
  return own.find(({ status }) => !over.has(status)) ?? own.at(-1)
}

/** Why an assignment is not taken on: anybody may bid there in an agent's name for next to nothing, and choose that bid. */
export function shortfall({ bids, winning_bid_id }: MarketJob, { baseRateUsd }: Profile): string | undefined {
  const price = bids.find(({ bid_id }) => bid_id === winning_bid_id)?.price_usd
  return price !== undefined && price < baseRateUsd ? `it was assigned for ${price} USD, the least is ${baseRateUsd}` : undefined
}

export type Fate =
  | { readonly kind: 'open'; readonly bidId: string | null }
  | { readonly kind: 'won' }
  | { readonly kind: 'lost'; readonly reason: string }

/** What became of an open bid, by its job; null: the job is gone. */
export function fateOf(bid: OpenBid, job: MarketJob | null, agentId: string, now: number): Fate {
  if (job === null) return { kind: 'lost', reason: 'the job was deleted' }
  if (job.status === 'assigned' && job.assigned_agent_id === agentId) return { kind: 'won' }
  if (job.assigned_agent_id !== null && job.assigned_agent_id !== agentId) return { kind: 'lost', reason: 'another agent has it' }
  if (job.status === 'completed' || job.status === 'cancelled') return { kind: 'lost', reason: `the job is ${job.status}` }
  const own = ownBid(job, agentId)
  if (own === undefined) {
    return bid.bidId === null && now - bid.at < unsureFor ? { kind: 'open', bidId: null } : { kind: 'lost', reason: 'the bid is not there' }
  }
  if (over.has(own.status)) return { kind: 'lost', reason: `the bid was ${own.status}` }
  if (now - bid.at >= forgottenAfter) return { kind: 'lost', reason: 'nobody has decided on it for a day' }
  return { kind: 'open', bidId: own.bid_id }
}

/** What makes a job another one to judge. */
export function faceOf({ status, budget_usd, title, description, required_capabilities }: MarketJob): string {
  return `${status} ${budget_usd} ${title.length} ${description.length} ${required_capabilities.join().slice(0, 100)}`
}

/** The best first: the surest, then the dearest. */
export function byWorth(one: { evaluation: Evaluation }, other: { evaluation: Evaluation }): number {
  return other.evaluation.confidence - one.evaluation.confidence || other.evaluation.priceUsd - one.evaluation.priceUsd
}
