import type { Market, MarketEvent } from '../market.ts'
import { structureReason } from '../tradable.ts'
import { findBasket } from './basket.ts'
import { type Finding, pass, type Strategy } from './strategy.ts'

/**
 * Buys YES of every outcome of an event for less than the dollar that one of them pays, or NO of every outcome for less than what all
 * but one pay. Asks that add up to less than one say nothing as long as an outcome may be missing.
 */
export const negRisk: Strategy = {
  name: 'neg_risk',
  scope: 'event',
  find(event, view) {
    const legs = completeLegs(event)
    if (legs === undefined) return pass('event_incomplete')
    const sides = [
      { side: 'YES', payout: 1 },
      { side: 'NO', payout: legs.length - 1 },
    ] as const
    const findings = sides.map(({ side, payout }) =>
      findBasket(
        'neg_risk',
        legs.map((market) => ({ market, side })),
        payout,
        view,
      ),
    )
    return findings.toSorted((one, other) => worth(other) - worth(one))[0] ?? pass('event_incomplete')
  },
}

/**
 * The markets of which exactly one will pay YES; undefined unless that is certain: the event lists all of its markets, one stands for
 * whatever is not named, and each is either open to orders or already lost.
 */
export function completeLegs(event: MarketEvent): readonly Market[] | undefined {
  if (!event.negRisk || event.unread > 0 || !event.markets.some(({ isOther }) => isOther)) return undefined
  const legs = event.markets.filter(({ resolution }) => resolution !== 'NO')
  const areOpen = legs.length >= 2 && legs.every((market) => market.negRisk && structureReason(market) === undefined)
  return areOpen ? legs : undefined
}

function worth(finding: Finding): number {
  return (finding.kind === 'opportunity' ? 2 : 0) + (finding.edge ?? -2)
}
