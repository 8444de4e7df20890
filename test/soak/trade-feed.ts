import { randomUUID } from 'node:crypto'
import { readLimits } from '../../actors/lib/markets/limits.ts'
import { createSimulated } from '../../actors/lib/markets/simulated.ts'
import type { Opinion } from '../../actors/lib/markets/strategies/strategy.ts'
import { findAll } from '../../actors/lib/trading/findings.ts'
import { filterArgs } from '../../actors/lib/trading/market-args.ts'
import { publication } from '../../actors/lib/trading/opportunity.ts'
import { survey } from '../../actors/lib/trading/survey.ts'

/** Markets that stand still, so that a trade is the same whenever it is made. */
export const marketOf = (seed: number) => `simulated:${seed}?interval=0&markets=900&events=0`

/** Every trade fits, whatever was traded before: what is bought then depends on nobody's order. */
export const limits = { trading_enabled: true, max_daily_exposure: 100_000, max_position_size: 5, min_edge_threshold: 0.1 }

/** The arguments of publish_opportunity for everything that is worth buying there, one for a market. */
export async function opportunities(seed: number, { attempts = 100 } = {}): Promise<readonly object[]> {
  const source = createSimulated({ seed: String(seed), now: Date.now, interval: 0, markets: 900, events: 0 })
  const reach = { pages: 10, eventPages: 0, shortList: 900, filter: filterArgs.parse({}) }
  const seen = await survey(source, reach, {})
  const opinions = new Map<string, Opinion>()
  for (const { id } of seen.markets) {
    const opinion = await source.opinion(id)
    if (opinion) opinions.set(id, opinion)
  }
  const known = readLimits(Object.entries(limits).map(([key, value]) => ({ key, value })))
  if (known === undefined) throw new Error('These limits make no sense')
  const { found } = findAll(seen, ['complete_set', 'model_opinion'], { limits: known, minEdge: 0, opinions })
  const first = new Map(found.toReversed().map((one) => [one.opportunity.legs[0].marketId, one]))
  const mixed = [...first].toSorted(([one], [other]) => Number(one) - Number(other)).map(([, one]) => one)
  return mixed.map(({ opportunity, question, eventId }) => {
    const about = { id: randomUUID(), source: marketOf(seed), question, by: 'feed', eventId, expiresIn: 86_400_000 }
    const { opportunity: row, job } = publication({ finding: opportunity, ...about })
    return { opportunity: row, job: { ...job, max_attempts: attempts }, broadcast: false }
  })
}
