import { ActorError } from 'troupe/actor'
import type { Broker, Order, Outcome } from '../markets/broker.ts'
import { noFees } from '../markets/fees.ts'
import { mark, type Position, type Settled, settleSale } from '../markets/positions.ts'
import type { MarketSource } from '../markets/source.ts'
import { dollars } from '../markets/units.ts'
import { type Execution, orderIn, positionOf } from './execution.ts'
import { sellOnce } from './order.ts'
import { isUsable } from './review.ts'
import type { TraderCtx } from './trader-args.ts'

/** Where a trade takes place. */
export interface Venue {
  readonly broker: Broker
  readonly source: MarketSource
}

type Filled = Outcome & { readonly kind: 'filled' }

/** Sells all of a position into the bids, once in this turn. Undefined when nobody takes all of it, or its book is not to be believed. */
export async function sellAll(
  execution: Execution,
  position: Position,
  why: string,
  { broker, source }: Venue,
  ctx: TraderCtx,
): Promise<Settled | undefined> {
  const key = `${why}:${execution.id}`
  const make = async (): Promise<Order | undefined> => {
    const market = await source.market(position.marketId, { signal: ctx.signal })
    const book = (await source.books([position.token], { signal: ctx.signal })).get(position.token)
    if (market === undefined || !isUsable(book, market, position.side, source.now())) return undefined
    const { sold, unsellable } = mark(position, book, noFees)
    const limit = unsellable === 0 ? sold.fills.at(-1)?.price : undefined
    if (limit === undefined) return undefined
    return { ...orderIn(execution), key, at: source.now(), way: 'sell', shares: position.shares, limit, budget: 0, whole: true }
  }
  const outcome = await sellOnce({ details: execution.details, key, make }, broker, ctx)
  switch (outcome.kind) {
    case 'filled':
      return settleSale(position, outcome)
    case 'refused':
    case 'unsold_leg':
      return undefined
    case 'unknown':
      // Perhaps it is sold: it stays what it is until somebody has looked.
      throw new ActorError('STEP_UNKNOWN', `The sale of ${execution.id} has an unknown end: ${outcome.detail}`)
  }
}

/** Sells a leg whose set could not be completed. What nobody takes becomes a position of its own, with the usual ways out. */
export async function unwind(execution: Execution, bought: Filled, venue: Venue, ctx: TraderCtx): Promise<void> {
  const { shares, cost, fee } = bought
  const settled = await sellAll(execution, { ...positionOf(execution), shares, cost, fee }, 'unwound', venue, ctx)
  if (settled) settle(execution, settled, 'unwound', ctx)
  else ctx.log.warn(`A leg of a set is left over: ${execution.side} in market ${execution.market_id}`, { execution: execution.id })
}

/** Books with the turn what a trade has brought. */
export function settle({ id }: Pick<Execution, 'id'>, { exitPrice, pnl, fees }: Settled, reason: string, ctx: Pick<TraderCtx, 'db'>): void {
  ctx.db.write('settle_execution', { id, exit_price: exitPrice, pnl: dollars(pnl), fees: dollars(fees), exit_reason: reason })
}
