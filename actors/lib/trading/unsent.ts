import { bookDoubt } from '../markets/book.ts'
import { readLimits } from '../markets/limits.ts'
import { mayStillAct } from './brokers.ts'
import { skipFor, trustAt } from './market-args.ts'
import { openSource } from './market-source.ts'
import type { Plan } from './reserve.ts'
import { type Offer, staleReason } from './review.ts'
import type { TraderCtx } from './trader-args.ts'

/**
 * Why a trade that was reserved, and of which nothing was sent, is not to be sent any more. Its orders stay what they were, so price and
 * edge are as good as then; whether anybody may trade, and trade this, is asked as for a new one.
 */
export async function unsentReason(plan: Plan, offer: Offer, ctx: TraderCtx): Promise<string | undefined> {
  const stale = staleReason(offer, ctx.now())
  if (stale !== undefined) return stale
  if (ctx.args.approval === 'manual' && offer.status !== 'approved') return 'not_approved'
  return (await offReason(plan, ctx)) ?? (await marketReason(plan, ctx))
}

/** Why no order of a trade may be sent at this moment, whatever it is worth. */
export async function offReason(
  plan: Plan,
  ctx: TraderCtx,
): Promise<'live_trading_off' | 'config_missing' | 'trading_disabled' | undefined> {
  if (!mayStillAct(plan, ctx.args)) return 'live_trading_off'
  const limits = readLimits(await ctx.db.read('system_config'))
  if (limits === undefined) return 'config_missing'
  return limits.tradingEnabled ? undefined : 'trading_disabled'
}

async function marketReason({ source: name, strategy, orders }: Plan, ctx: TraderCtx): Promise<string | undefined> {
  const { signal } = ctx
  const { source } = await openSource(name, { http: ctx.http, signal, clock: ctx.now })
  for (const id of new Set(orders.map(({ marketId }) => marketId))) {
    const market = await source.market(id, { signal })
    const reason = market === undefined ? 'no_market' : skipFor(strategy, market, ctx.args.filter, source.now())
    if (reason !== undefined) return reason
  }
  const tokens = [...new Set(orders.map(({ token }) => token))]
  const books = await source.books(tokens, { signal })
  for (const book of tokens.map((token) => books.get(token))) {
    const reason = book === undefined ? 'no_book' : bookDoubt(book, {}, trustAt(source.now()))
    if (reason !== undefined) return reason
  }
  return undefined
}
