import * as z from 'zod'
import type { Holding } from '../markets/broker.ts'
import { readLimits } from '../markets/limits.ts'
import { ceilNear, floorNear, type Micro, oneDollar } from '../markets/units.ts'
import type { Purse } from './review.ts'

const usd = z.number()
/** What trading_exposure answers, in dollars. */
const answer = z.object({ today: usd, market: usd, event: usd, open: usd, pnl: usd })

/** What may be spent: the limits, what is committed already, and what is left of the money. */
export interface Account extends Purse {
  /** What settled trades have brought. */
  readonly pnl: Micro
}

/**
 * Puts together rows of system_config and the answer of trading_exposure. What a shared wallet holds counts as exposure of today, for
 * nobody knows when it was bought. Undefined when the limits make no sense: then nothing may be bought.
 */
export function accountOf(
  config: readonly unknown[],
  exposure: unknown,
  { bankroll, marketId, foreign = [] }: { readonly bankroll: number; readonly marketId: string; readonly foreign?: readonly Holding[] },
): Account | undefined {
  const limits = readLimits(config)
  if (limits === undefined) return undefined
  const used = answer.parse(exposure)
  const up = (amount: number) => ceilNear(amount * oneDollar)
  const theirs = foreign.reduce((sum, { cost }) => sum + cost, 0)
  // A holding whose market is not known may be of this one.
  const here = foreign.filter((one) => one.marketId === undefined || one.marketId === marketId).reduce((sum, { cost }) => sum + cost, 0)
  return {
    limits,
    used: { today: up(used.today) + theirs, market: up(used.market) + here, event: up(used.event) + here },
    bankroll: Math.max(0, floorNear((bankroll + used.pnl - used.open) * oneDollar) - theirs),
    pnl: floorNear(used.pnl * oneDollar),
  }
}

/** Why nothing at all is bought at this time, whatever is offered. */
export function haltReason(
  account: Account | undefined,
  rules: { readonly bankroll: number; readonly maxDrawdown: number },
): string | undefined {
  if (account === undefined) return 'config_missing'
  if (!account.limits.tradingEnabled) return 'trading_disabled'
  return account.pnl <= -rules.maxDrawdown * rules.bankroll * oneDollar ? 'max_drawdown' : undefined
}
