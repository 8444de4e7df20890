import type { Fees } from './fees.ts'
import type { Side } from './market.ts'
import type { Micro, Price, Shares } from './units.ts'
import type { Fill, Way } from './walk.ts'

/** An order as it is sent: everything a broker needs, decided before. */
export interface Order {
  /** The idempotency key; the same key is the same order. */
  readonly key: string
  /** Ms since 1970 when it was decided: nothing older can be its outcome. */
  readonly at: number
  readonly way: Way
  readonly marketId: string
  readonly token: string
  readonly side: Side
  readonly negRisk: boolean
  readonly shares: Shares
  /** The worst price a share may have. */
  readonly limit: Price
  /** The most that a purchase may take, fees included; what was reserved. */
  readonly budget: Micro
  readonly fees: Fees
  /** Whether less than `shares` is as good as nothing, as for a leg of a set. */
  readonly whole: boolean
}

/** What became of an order. Only `filled` may be called a success, and says how much. */
export type Outcome =
  /** Got `shares` of what was ordered, perhaps fewer; `isEstimate` when the broker cannot say what they cost and this is the most. */
  | {
      readonly kind: 'filled'
      readonly shares: Shares
      readonly cost: Micro
      readonly fee: Micro
      readonly fills: readonly Fill[]
      readonly isEstimate: boolean
      readonly reference?: string
      readonly report?: FillReport
    }
  /** Nothing happened, and nothing will: the reservation may be given back. */
  | { readonly kind: 'refused'; readonly reason: Refusal; readonly detail: string }
  /** Both sides were bought and the unwanted one is still held: `cost` is spent. */
  | { readonly kind: 'unsold_leg'; readonly shares: Shares; readonly cost: Micro; readonly detail: string; readonly reference?: string }
  /** Something may have happened. Never send it again; look with `reconcile`. */
  | { readonly kind: 'unknown'; readonly detail: string }

export type Refusal =
  | 'bad_order'
  | 'no_book'
  | 'stale_book'
  | 'below_minimum'
  | 'off_tick'
  | 'no_match'
  | 'not_whole'
  | 'over_budget'
  | 'neg_risk'
  | 'no_sell'
  | 'no_wallet'
  | 'no_funds'
  | 'no_market'
  | 'usage'
  | 'cannot_start'
  | 'live_trading_off'
  | 'trading_disabled'
  | 'config_missing'
  | 'released'

/** How a fill compares: dollars per share, and the distance of its average from the middle of the book in hundredths of a per cent. */
export interface FillReport {
  readonly average: number
  readonly middle?: number
  readonly slippage?: number
  readonly levels: number
}

/** Who trades. One order at a time; a second `place` with the same key never buys again. */
export interface Broker {
  readonly name: BrokerName
  /** Whether real money moves. */
  readonly isLive: boolean
  /** The most that this order can take: what has to be reserved before it is placed. */
  reserve(order: Pick<Order, 'shares' | 'limit' | 'fees'>): Micro
  place(order: Order, options?: { readonly signal?: AbortSignal }): Promise<Outcome>
  /** Finds out what became of an order whose outcome was lost. */
  reconcile(order: Order, options?: { readonly signal?: AbortSignal }): Promise<Outcome>
  /** What the broker itself holds, where it knows. */
  positions(options?: { readonly signal?: AbortSignal }): Promise<readonly Holding[]>
}

/** A position as the broker tells it; `cost` is the most that it can have cost. */
export interface Holding {
  readonly reference: string
  readonly marketId?: string
  readonly question: string
  readonly side: Side
  readonly cost: Micro
}

export type BrokerName = 'paper' | 'polyclaw'

/** Which broker acts: real money needs both the config and the environment to ask for it, anything else is paper and says why. */
export function chooseBroker(wanted: BrokerName, liveTrading: string | undefined): { readonly name: BrokerName; readonly reason: string } {
  if (wanted === 'paper') return { name: 'paper', reason: 'paper: the config names no live broker' }
  if (liveTrading !== '1') return { name: 'paper', reason: `paper: the config names ${wanted}, but LIVE_TRADING is not 1` }
  return { name: wanted, reason: `LIVE: ${wanted} trades with real money` }
}

/** What is wrong with an order before anybody looks at a market; undefined when nothing is. */
export function orderProblem(order: Order): string | undefined {
  const isWhole = (value: number) => Number.isSafeInteger(value) && value > 0
  if (!isWhole(order.shares)) return `shares: ${order.shares}`
  if (!isWhole(order.limit) || order.limit >= 10_000) return `limit: ${order.limit}`
  if (order.way === 'buy' && !isWhole(order.budget)) return `budget: ${order.budget}`
  if (!/^\d{1,20}$/.test(order.marketId)) return 'market id'
  if (!/^\d{1,80}$/.test(order.token)) return 'token'
  return order.side === 'YES' || order.side === 'NO' ? undefined : 'side'
}

export function refused(reason: Refusal, detail: string): Outcome {
  return { kind: 'refused', reason, detail }
}
