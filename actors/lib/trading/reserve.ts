import { createHash } from 'node:crypto'
import type { Order } from '../markets/broker.ts'
import { dollars, priceOf } from '../markets/units.ts'
import type { ExecutionDetails } from './execution.ts'
import type { Offer } from './review.ts'
import type { TraderCtx } from './trader-args.ts'

/** A trade that is decided: its orders, with what every execution of it has to remember. */
export type Plan = Omit<ExecutionDetails, 'leg'> & { readonly edge?: number | undefined }

/** Reserves every order before any is sent; all of them or none. Says why not. */
export async function reserve(
  { edge: _, ...plan }: Plan,
  offer: Pick<Offer, 'id' | 'eventId'>,
  ctx: TraderCtx,
): Promise<string | undefined> {
  const event = offer.eventId === undefined ? {} : { event_id: offer.eventId }
  for (const [leg, order] of plan.orders.entries()) {
    const { verdict, reason } = await reserveOne(order, { ...plan, leg }, { opportunity_id: offer.id, ...event }, ctx)
    if (verdict !== 'refused') continue
    for (const { key } of plan.orders.slice(0, leg)) {
      await ctx.db.call('release_execution', { idempotency_key: key, reason: 'another leg was refused', stage: 'reserved' })
    }
    return reason
  }
  return undefined
}

async function reserveOne(order: Order, details: ExecutionDetails, ids: object, ctx: TraderCtx) {
  const { key, marketId, side, budget, limit } = order
  const args = { idempotency_key: key, id: uuidOf(key), market_id: marketId, side, amount: dollars(budget), entry_price: priceOf(limit) }
  const answer = await ctx.db.call('reserve_execution', { ...args, ...ids, executed_by: ctx.self, details })
  return answer as { readonly verdict: 'ok' | 'repeat' | 'refused'; readonly reason?: string }
}

/** The same uuid for the same order, whoever makes it. */
function uuidOf(key: string): string {
  const hex = createHash('sha256').update(key).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
