import { dollars, shareCount } from '../markets/units.ts'
import { allRows } from './all-rows.ts'
import { openTrades, positionOf, readExecutions } from './execution.ts'
import type { TraderCtx } from './trader-args.ts'

/** What is open, of all traders, in dollars; marked as this trader last saw its own. */
export async function openPositions(ctx: TraderCtx) {
  const rows = readExecutions(await allRows('trade_executions', openTrades, ctx))
  const positions = rows.map((execution) => {
    const { id, market_id, side, stage, executed_by, details } = execution
    const { shares, cost, fee } = positionOf(execution)
    const { value, pnl } = ctx.state.marks[id] ?? { value: null, pnl: null }
    const { source, strategy, broker } = details
    return {
      ...{ id, market_id, side, stage, executed_by, source, strategy, broker },
      shares: shareCount(shares),
      cost: dollars(cost),
      fee: dollars(fee),
      value,
      pnl,
    }
  })
  const sum = (of: (position: (typeof positions)[number]) => number) => positions.reduce((total, position) => total + of(position), 0)
  return { positions, cost: sum(({ cost, fee }) => cost + fee), pnl: sum(({ pnl }) => pnl ?? 0) }
}
