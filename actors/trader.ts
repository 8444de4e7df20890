import { defineActor } from 'troupe/actor'
import { chooseBroker } from './lib/markets/broker.ts'
import { polymarketOrigins } from './lib/markets/polymarket.ts'
import { lookAtAll } from './lib/trading/look.ts'
import { executeTrade } from './lib/trading/opportunity.ts'
import { openPositions } from './lib/trading/positions.ts'
import { type TradeResult, trade } from './lib/trading/trade.ts'
import { type TraderState, traderArgs, traderSql } from './lib/trading/trader-args.ts'

/**
 * Trades on opportunities: looks at each again, sizes it under every limit, reserves what it may cost, acts once, and gives positions up
 * or settles them. On paper unless both the config and the environment ask for real money.
 */
export default defineActor({
  args: traderArgs,
  persist: true,
  messages: { mark: true, positions: true },
  jobs: { execute_trade: executeTrade },
  sql: traderSql,
  origins: polymarketOrigins,
  init(ctx): TraderState {
    const { reason } = chooseBroker(ctx.args.broker, process.env.LIVE_TRADING)
    ctx.log.info(reason)
    if (ctx.args.approval === 'manual') ctx.log.info('approval is manual: a person decides, by troupe opportunities')
    ctx.every(ctx.args.markInterval, 'mark')
    return { watches: {}, marks: {} }
  },
  receive: {
    mark: (_, ctx) => lookAtAll(ctx),
    positions: (_, ctx) => openPositions(ctx),
  },
  run: {
    async execute_trade(job, ctx) {
      const result = await trade(job, ctx)
      ctx.log.info(textOf(result), { opportunity: job.opportunity_id, market: job.market_id })
      return result
    },
  },
})

function textOf({ decision, reason, broker, trades, edge }: TradeResult): string {
  const what = trades.map(({ shares, side, cost, fee }) => `${shares} ${side} for $${cost.toFixed(2)} + $${fee.toFixed(2)} fee`).join(', ')
  const gain = edge === undefined ? '' : `, edge ${(edge * 100).toFixed(1)} %`
  return trades.length > 0 ? `${broker}: bought ${what}${gain}` : `${decision}: ${reason}${gain}`
}
