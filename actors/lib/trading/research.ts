import type { Opinion } from '../markets/strategies/strategy.ts'
import { type Evidence, publishers, soundEvidence } from './research-evidence.ts'

/** What one answer of a model says of a market. */
export interface Sample {
  /** That the first outcome wins. */
  readonly probability: number
  readonly confidence: number
  readonly evidence: readonly Evidence[]
  readonly reasoning: string
}

export interface ResearchRules {
  /** Ms since 1970, where the market is. */
  readonly now: number
  /** Usable answers that an opinion needs. */
  readonly minSamples: number
  readonly minEvidence: number
  readonly maxEvidenceAge: number
  /** How far the answers may lie apart, and how far from the market, in probability. */
  readonly maxSpread: number
  readonly maxDistance: number
  /** The part of the way from the market's price to the model's opinion that we go. */
  readonly weight: number
}

export const researchRules: Omit<ResearchRules, 'now'> = {
  minSamples: 2,
  minEvidence: 2,
  maxEvidenceAge: 180 * 86_400_000,
  maxSpread: 0.25,
  maxDistance: 0.4,
  weight: 0.5,
}

export type ResearchRefusal = 'no_answer' | 'no_evidence' | 'samples_disagree' | 'far_from_market' | 'no_price'

/** What came of asking a model. */
export type Research =
  | ({
      readonly kind: 'opinion'
      /** What the model said, before the market's price was reckoned with. */
      readonly said: number
      /** The middle of the market's book at that time. */
      readonly price: number
      readonly spread: number
      readonly evidence: readonly Evidence[]
      readonly reasoning: string
    } & Opinion)
  | { readonly kind: 'refused'; readonly reason: ResearchRefusal; readonly detail: string }

/**
 * Makes one opinion of several answers: their median, shrunk towards what the market says, because a crowd with money at stake is more often right
 * than a model. Answers that lie apart make it less sure. There is none without evidence of two publishers, nor one far from the
 * market: there a text has misled the model more often than a crowd has slept.
 */
export function opinionOf(samples: readonly Sample[], price: number, rules: ResearchRules): Research {
  const usable = samples.filter(isUsable)
  if (!(price > 0 && price < 1)) return refused('no_price', 'the market has no price between 0 and 1')
  if (usable.length < rules.minSamples) return refused('no_answer', `${usable.length} usable answers, ${rules.minSamples} are needed`)
  const claimed = usable.flatMap(({ evidence }) => evidence)
  const evidence = soundEvidence(claimed, { now: rules.now, maxAge: rules.maxEvidenceAge })
  if (evidence.length < rules.minEvidence || publishers(evidence) < Math.min(2, rules.minEvidence)) {
    return refused('no_evidence', `${evidence.length} of ${claimed.length} pieces of evidence count, of ${publishers(evidence)} publishers`)
  }
  const probabilities = usable.map(({ probability }) => probability)
  const spread = Math.max(...probabilities) - Math.min(...probabilities)
  if (spread > rules.maxSpread) return refused('samples_disagree', `the answers lie ${spread.toFixed(2)} apart`)
  const said = median(probabilities)
  if (Math.abs(said - price) > rules.maxDistance)
    return refused('far_from_market', `${said.toFixed(2)} where the market says ${price.toFixed(2)}`)
  return {
    kind: 'opinion',
    probability: shrunk(said, price, rules.weight),
    confidence: median(usable.map(({ confidence }) => confidence)) * (1 - spread),
    ...{ said, price, spread, evidence },
    reasoning: usable[0]?.reasoning ?? '',
  }
}

/** Goes this part of the way from the market's price to a probability, in log odds: near 0 and 1 a step means more. */
export function shrunk(probability: number, price: number, weight: number): number {
  return 1 / (1 + Math.exp(-(weight * odds(probability) + (1 - weight) * odds(price))))
}

function isUsable({ probability, confidence }: Sample): boolean {
  // Said this way round, what is no number is not usable.
  return probability > 0 && probability < 1 && confidence >= 0 && confidence <= 1
}

function refused(reason: ResearchRefusal, detail: string): Research {
  return { kind: 'refused', reason, detail }
}

function odds(probability: number): number {
  return Math.log(probability / (1 - probability))
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const [low = 0, high = 0] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.ceil((sorted.length - 1) / 2)]]
  return (low + high) / 2
}
