import { type Broker, type Outcome, refused } from '../markets/broker.ts'
import { mayStillAct } from './brokers.ts'
import { type Execution, positionOf } from './execution.ts'
import { recordOutcome, sendOnce } from './order.ts'
import type { Plan } from './reserve.ts'
import { unwind, type Venue } from './sale.ts'
import type { TraderCtx } from './trader-args.ts'

/** What became of an execution; `isHeld` when it was not sent at all. */
export interface Sent {
  readonly execution: Execution
  readonly outcome: Outcome
  readonly isHeld: boolean
}

/** Sends what of a trade is not sent, and writes down what became of all of it; a set that came to less than a set is unwound. */
export async function sendAll(executions: readonly Execution[], plan: Plan, at: Venue, ctx: TraderCtx): Promise<readonly Sent[]> {
  const outcomes: Sent[] = []
  const isOff = mayStillAct(plan, ctx.args) ? undefined : refused('live_trading_off', `${plan.broker} may not buy any more`)
  for (const execution of executions) {
    // A set that lacks a leg is no arbitrage: nothing more of it is bought.
    const isLost = plan.basket !== null && outcomes.some(({ outcome }) => outcome.kind !== 'filled')
    const hindrance = isLost ? refused('not_whole', 'another leg failed') : isOff
    // What was sent is never taken for unsent, whatever hinders it now.
    const isHeld = hindrance !== undefined && execution.stage === 'reserved'
    outcomes.push({ execution, isHeld, outcome: isHeld ? hindrance : await outcomeOf(execution, at.broker, ctx) })
  }
  const isBroken = plan.basket !== null && outcomes.some(({ outcome }) => outcome.kind !== 'filled')
  for (const { execution, outcome, isHeld } of outcomes) {
    if (execution.status === 'pending') recordOutcome(execution, outcome, ctx, isHeld ? { stage: 'reserved' } : {})
    if (isBroken && outcome.kind === 'filled') await unwind(execution, outcome, at, ctx)
  }
  return outcomes
}

/** What was bought before is not asked about again. */
async function outcomeOf(execution: Execution, broker: Broker, ctx: TraderCtx): Promise<Outcome> {
  if (execution.status === 'pending') return await sendOnce(execution, broker, ctx)
  const { shares, cost, fee } = positionOf(execution)
  if (execution.stage === 'unsold_leg') return { kind: 'unsold_leg', shares, cost, detail: execution.error_message ?? 'found unsold' }
  return { kind: 'filled', shares, cost, fee, fills: [], isEstimate: false }
}
