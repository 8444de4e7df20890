import { structureReason } from '../tradable.ts'
import { findBasket } from './basket.ts'
import { pass, type Strategy } from './strategy.ts'

/**
 * Buys YES and NO of one market for less than the dollar that the pair pays. The exchange matches such orders itself, so two books of one
 * moment hardly ever show it: what shows is mostly two moments.
 */
export const completeSet: Strategy = {
  name: 'complete_set',
  scope: 'market',
  find(market, view) {
    const skip = structureReason(market)
    if (skip !== undefined) return pass(skip)
    const sides = ['YES', 'NO'] as const
    return findBasket(
      'complete_set',
      sides.map((side) => ({ market, side })),
      1,
      view,
    )
  },
}
