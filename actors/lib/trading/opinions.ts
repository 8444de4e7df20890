import type { Execution } from './execution.ts'
import { opportunityDetails } from './opportunity.ts'
import type { TraderCtx } from './trader-args.ts'

// An address must not get too long for the servers on its way.
const marketsAtOnce = 100

/** Finds what is believed of markets now: the newest opinion that was published, else the one that a trade was made on. */
export async function newestOpinions(
  executions: readonly Execution[],
  ctx: Pick<TraderCtx, 'db'>,
): Promise<(execution: Execution) => number | undefined> {
  const markets = [...new Set(executions.filter(({ details }) => details.probability !== null).map(({ market_id }) => market_id))]
  const newest = new Map<string, number>()
  for (let at = 0; at < markets.length; at += marketsAtOnce) {
    const filter = { market_id: { in: markets.slice(at, at + marketsAtOnce) } }
    const rows = await ctx.db.read('trade_opportunities', filter, { order: [{ by: 'discovered_at', descending: true }] })
    for (const row of rows.toReversed()) {
      const read = opportunityDetails.safeParse(row.details)
      const probability = read.data?.probability
      if (probability != null) newest.set(keyOf(read.data?.source, row.market_id), row.side === 'YES' ? probability : 1 - probability)
    }
  }
  return ({ market_id, side, details }) => {
    const yes = newest.get(keyOf(details.source, market_id))
    if (yes === undefined) return details.probability ?? undefined
    return side === 'YES' ? yes : 1 - yes
  }
}

function keyOf(source: unknown, market: unknown): string {
  return `${source} ${market}`
}
