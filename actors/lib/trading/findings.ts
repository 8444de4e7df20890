import type { Limits } from '../markets/limits.ts'
import { risk } from '../markets/limits.ts'
import { strategies } from '../markets/strategies/index.ts'
import type { Finding, Opinion, Opportunity, StrategyName, View } from '../markets/strategies/strategy.ts'
import { eventOf } from './market-args.ts'
import type { Survey } from './survey.ts'

/** An opportunity with what people and other tables call its market. */
export interface Found {
  readonly opportunity: Opportunity
  readonly question: string
  readonly eventId?: string | undefined
}

/** Asks each strategy about each market or event of a survey. */
export function findAll(
  { markets, events, books, trust }: Survey,
  names: readonly StrategyName[],
  {
    limits,
    minEdge,
    opinions = new Map(),
  }: { readonly limits: Limits; readonly minEdge: number; readonly opinions?: ReadonlyMap<string, Opinion> },
): { readonly findings: readonly Finding[]; readonly found: readonly Found[] } {
  const policy = {
    minEdge: Math.max(minEdge, limits.minEdge),
    minConfidence: risk[limits.riskMode].minConfidence,
    stake: Math.min(limits.maxPositionSize, limits.maxDailyExposure),
  }
  const view: View = { books, opinions, policy, trust }
  const findings: Finding[] = []
  const found: Found[] = []
  const note = (finding: Finding, about: Omit<Found, 'opportunity'>) => {
    findings.push(finding)
    if (finding.kind === 'opportunity') found.push({ opportunity: finding, ...about })
  }
  for (const name of names) {
    const strategy = strategies[name]
    if (strategy.scope === 'market')
      for (const market of markets) note(strategy.find(market, view), { question: market.question, eventId: eventOf(market) })
    else for (const event of events) note(strategy.find(event, view), { question: event.title, eventId: event.id })
  }
  return { findings, found }
}
