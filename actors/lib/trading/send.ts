import { type Broker, type Outcome, refused } from '../markets/broker.ts'
import { type Execution, positionOf } from './execution.ts'
import { recordOutcome, sendOnce } from './order.ts'
import type { Plan } from './reserve.ts'
import { unwind, type Venue } from './sale.ts'
import type { TraderCtx } from './trader-args.ts'
import { offReason } from './unsent.ts'

/** What became of an execution; `isHeld` when it was not sent at all. */
export interface Sent {
  readonly execution: Execution
  readonly outcome: Outcome
  readonly isHeld: boolean
}

/** Sends what of a trade is not sent, and writes down what became of all of it; a set that came to less than a set is unwound. */
export async function sendAll(executions: readonly Execution[], plan: Plan, at: Venue, ctx: TraderCtx): Promise<readonly Sent[]> {
  const outcomes: Sent[] = []
  for (const execution of executions) {
    // What was sent is never taken for unsent, whatever hinders it now.
    const hindrance = execution.stage === 'reserved' ? await hindranceOf(outcomes, plan, ctx) : undefined
    outcomes.push({ execution, isHeld: hindrance !== undefined, outcome: hindrance ?? (await outcomeOf(execution, at.broker, ctx)) })
  }
  const isBroken = plan.basket !== null && outcomes.some(({ outcome }) => outcome.kind !== 'filled')
  for (const { execution, outcome, isHeld } of outcomes) {
    if (execution.status === 'pending') recordOutcome(execution, outcome, ctx, isHeld ? { stage: 'reserved' } : {})
    if (isBroken && outcome.kind === 'filled') await unwind(execution, outcome, at, ctx)
  }
  return outcomes
}

/** Why the next order is not sent, asked before each: trading may be switched off while a set is bought. */
async function hindranceOf(before: readonly Sent[], plan: Plan, ctx: TraderCtx): Promise<Outcome | undefined> {
  // A set that lacks a leg is no arbitrage: nothing more of it is bought.
  if (plan.basket !== null && before.some(({ outcome }) => outcome.kind !== 'filled')) return refused('not_whole', 'another leg failed')
  const reason = await offReason(plan, ctx)
  return reason && refused(reason, `${plan.broker} may not buy any more`)
}

/** What was bought before is not asked about again. */
async function outcomeOf(execution: Execution, broker: Broker, ctx: TraderCtx): Promise<Outcome> {
  if (execution.status === 'pending') return await sendOnce(execution, broker, ctx)
  const { shares, cost, fee } = positionOf(execution)
  if (execution.stage === 'unsold_leg') return { kind: 'unsold_leg', shares, cost, detail: execution.error_message ?? 'found unsold' }
  return { kind: 'filled', shares, cost, fee, fills: [], isEstimate: false }
}
