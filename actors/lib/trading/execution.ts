import * as z from 'zod'
import type { Order } from '../markets/broker.ts'
import type { Position } from '../markets/positions.ts'
import { ceilNear, floorNear, oneDollar, oneShare } from '../markets/units.ts'
import { marketId } from './opportunity.ts'

const side = z.enum(['YES', 'NO'])
const whole = z.int().min(0)

/** An order as its execution keeps it, so that whoever goes on with it sends the very same one. */
const order = z.object({
  key: z.string().min(1),
  at: whole,
  way: z.enum(['buy', 'sell']),
  marketId,
  token: z.string().regex(/^\d{1,80}$/),
  side,
  negRisk: z.boolean(),
  shares: whole,
  limit: whole,
  budget: whole,
  fees: z.object({ rate: whole, exponent: whole }),
  whole: z.boolean(),
}) satisfies z.ZodType<Order>

/** What `details` of an execution of ours holds. */
const details = z.object({
  broker: z.enum(['paper', 'polyclaw']),
  source: z.string().min(1),
  strategy: z.enum(['complete_set', 'neg_risk', 'model_opinion']),
  /** That the side pays; null for a leg of a set, which pays as a whole. */
  probability: z.number().nullable(),
  /** What the legs of one set have in common. */
  basket: z.string().nullable(),
  /** All orders of the trade, and which of them this execution is. */
  orders: z.array(order).min(1),
  leg: whole,
})
export type ExecutionDetails = z.output<typeof details>

const time = z.string().transform((text) => Date.parse(text))
const row = z.object({
  id: z.string(),
  opportunity_id: z.string().nullable(),
  market_id: z.string(),
  event_id: z.string().nullable(),
  side,
  amount: z.number(),
  fees: z.number().nullable(),
  shares: z.number().nullable(),
  status: z.enum(['pending', 'executed', 'failed', 'settled']),
  stage: z.enum(['reserved', 'ordered', 'unknown', 'unsold_leg', 'filled', 'closed']),
  executed_by: z.string().nullable(),
  error_message: z.string().nullable(),
  created_at: time,
  executed_at: time.nullable(),
  details,
})

/** The filter of what is reserved, sent or held. */
export const openTrades = { status: { in: ['pending', 'executed'] } } as const

/** A row of trade_executions that one of our traders wrote. */
export type Execution = z.output<typeof row>

/** Reads rows of trade_executions; those of other programs, without an order of ours, are left to them. */
export function readExecutions(rows: readonly unknown[]): readonly Execution[] {
  return rows.map((one) => row.safeParse(one).data).filter((one) => one?.details.orders[one.details.leg] !== undefined) as Execution[]
}

/** The order that an execution is for. */
export function orderIn({ details: { orders, leg } }: Pick<Execution, 'details'>): Order {
  return orders[leg] as Order
}

/** What was bought, in the units that marks and sales are computed in. */
export function positionOf(execution: Execution): Position {
  const { market_id: market, side: of, shares, amount, fees, created_at, executed_at } = execution
  return {
    ...{ marketId: market, token: orderIn(execution).token, side: of },
    shares: floorNear((shares ?? 0) * oneShare),
    cost: ceilNear(amount * oneDollar),
    fee: ceilNear((fees ?? 0) * oneDollar),
    openedAt: executed_at ?? created_at,
  }
}

/** The other executions of the same set among these, whoever made them: a trade may have been begun by one trader and ended by another. */
export function siblingsOf({ id, details: { basket } }: Execution, among: readonly Execution[]): readonly Execution[] {
  return basket === null ? [] : among.filter((one) => one.details.basket === basket && one.id !== id)
}

/** The sets of which not all legs are open, by the opportunity that all legs of a set are of. */
export function partlyOpen(open: readonly Execution[]): readonly string[] {
  const isPart = (one: Execution) => one.details.basket !== null && siblingsOf(one, open).length + 1 < one.details.orders.length
  return [...new Set(open.filter(isPart).map(({ opportunity_id: of }) => of))].filter((of) => of !== null)
}

/** Who looks after an execution: of a set all legs go together, to who made the first of them. */
export function keeperOf(execution: Execution, among: readonly Execution[]): Pick<Execution, 'executed_by'> {
  const legs = [execution, ...siblingsOf(execution, among)]
  return legs.toSorted((one, other) => one.details.leg - other.details.leg)[0] ?? execution
}

/** An agent as the dashboard shows it. */
export interface Colleague {
  readonly agent_id: string
  readonly status: string
  readonly health_status: string
  /** Of its code; agents of other programs have none. */
  readonly version: string | null
}

/**
 * Whether this trader looks after an execution: its own, and the first one at work also those of traders that are not: gone, stopped,
 * paused or in quarantine. For the moment of a restart two may look: a stop takes several looks, and a trade ends once. Those of other
 * programs cannot read what ours have written, and look after none of it.
 */
export function isMine({ executed_by: by }: Pick<Execution, 'executed_by'>, self: string, traders: readonly Colleague[]): boolean {
  if (by === self) return true
  const working = traders.filter(isAtWork).map(({ agent_id }) => agent_id)
  if (by !== null && working.includes(by)) return false
  return [...working, self].toSorted()[0] === self
}

/** Whoever is paused or in quarantine is in error, while its lease is held and its heartbeat fresh. */
function isAtWork({ status, health_status, version }: Colleague): boolean {
  return version !== null && status !== 'offline' && status !== 'error' && health_status !== 'stale'
}
