import { completeSet } from './complete-set.ts'
import { modelOpinion } from './model-opinion.ts'
import { negRisk } from './neg-risk.ts'
import type { Strategy, StrategyName } from './strategy.ts'

/** Every strategy, by the name that a config uses. */
export const strategies: Readonly<Record<StrategyName, Strategy>> = {
  complete_set: completeSet,
  neg_risk: negRisk,
  model_opinion: modelOpinion,
}
