import type { Row } from 'troupe/actor'
import type { Execution } from './execution.ts'
import { opportunityDetails } from './opportunity.ts'
import type { TraderCtx } from './trader-args.ts'

// An address must not get too long for the servers on its way.
const marketsAtOnce = 100
// No store gives more rows at once.
const limit = 1_000

/** Finds what is believed of markets now: the newest opinion that was published, else the one that a trade was made on. */
export async function newestOpinions(
  executions: readonly Execution[],
  ctx: Pick<TraderCtx, 'db'>,
): Promise<(execution: Execution) => number | undefined> {
  const markets = [...new Set(executions.filter(({ details }) => details.probability !== null).map(({ market_id }) => market_id))]
  const newest = new Map<string, number>()
  for (let at = 0; at < markets.length; at += marketsAtOnce) {
    const rows = await newestOf(markets.slice(at, at + marketsAtOnce), ctx)
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

/** The opportunities of these markets, the newest first; of a quiet market they are not lost behind those of lively ones. */
async function newestOf(markets: readonly string[], ctx: Pick<TraderCtx, 'db'>): Promise<readonly Row[]> {
  const rows = await ctx.db.read(
    'trade_opportunities',
    { market_id: { in: markets } },
    { order: [{ by: 'discovered_at', descending: true }], limit },
  )
  if (rows.length < limit || markets.length === 1) return rows
  const half = markets.length >> 1
  return [...(await newestOf(markets.slice(0, half), ctx)), ...(await newestOf(markets.slice(half), ctx))]
}

function keyOf(source: unknown, market: unknown): string {
  return `${source} ${market}`
}
