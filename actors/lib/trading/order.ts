import { ActorError } from 'troupe/actor'
import { type Broker, type Order, type Outcome, refused } from '../markets/broker.ts'
import { dollars, onePrice, shareCount } from '../markets/units.ts'
import { mayStillAct } from './brokers.ts'
import { type Execution, orderIn } from './execution.ts'
import type { TraderCtx } from './trader-args.ts'

/**
 * Sends the order of an execution once. That it is about to be sent is written first, so whoever finds it later knows that something may
 * have happened, and asks the broker instead of sending it again.
 */
export async function sendOnce(execution: Execution, broker: Broker, ctx: TraderCtx): Promise<Outcome> {
  const { id } = execution
  const order = orderIn(execution)
  const claimed = await claim(execution, ctx)
  if (claimed === 'released') return refused('released', 'somebody gave it back unsent')
  const act = () => broker[claimed === 'ours' ? 'place' : 'reconcile'](order, { signal: ctx.signal })
  return await once(
    `order ${order.key}`,
    act,
    async (detail) => {
      await ctx.db.call('record_execution', { id, stage: 'unknown', error: detail })
      return await broker.reconcile(order, { signal: ctx.signal })
    },
    ctx,
  )
}

/** Writes that the order is about to be sent; another one, with another job for the same trade or for what lies about, may be faster. */
async function claim({ id, stage }: Execution, ctx: TraderCtx): Promise<'ours' | 'sent' | 'released'> {
  if (stage !== 'reserved') return 'sent'
  const answer = await ctx.db.call('record_execution', { id, stage: 'ordered' })
  const found = answer as { readonly verdict: string; readonly status?: string }
  if (found.verdict === 'ok') return 'ours'
  return found.status === 'failed' ? 'released' : 'sent'
}

/** A sale that is to be made: of which trade, by a key of its own, and how to make its order; undefined when there is nothing to be had. */
export interface Sale {
  readonly details: Execution['details']
  readonly key: string
  make(): Promise<Order | undefined>
}

/** Sells, once, in this turn; a repeat that finds it begun asks the broker. */
export async function sellOnce({ details, key, make }: Sale, broker: Broker, ctx: TraderCtx): Promise<Outcome> {
  const { signal } = ctx
  const act = (way: 'place' | 'reconcile') => async () => {
    // What was sent is asked about, whatever may still be sent.
    const isOff = way === 'place' && !mayStillAct(details, ctx.args)
    if (isOff) return refused('live_trading_off', `${details.broker} may not sell any more`)
    const order = await make()
    return order === undefined ? refused('no_match', 'nobody bids for all of it') : await broker[way](order, { signal })
  }
  return await once(`sell ${key}`, act('place'), act('reconcile'), ctx)
}

async function once(
  name: string,
  act: () => Promise<Outcome>,
  ask: (detail: string) => Promise<Outcome>,
  ctx: Pick<TraderCtx, 'step'>,
): Promise<Outcome> {
  try {
    return (await ctx.step(name, act, { once: true })) as Outcome
  } catch (error) {
    if (!(error instanceof ActorError) || error.code !== 'STEP_UNKNOWN') throw error
    return await ask(error.message)
  }
}

/** Writes down with the turn what became of an order; what was refused only while it is at the given stage. */
export function recordOutcome(
  { id }: Pick<Execution, 'id'>,
  outcome: Outcome,
  ctx: Pick<TraderCtx, 'db'>,
  only: { readonly stage?: 'reserved' } = {},
): void {
  switch (outcome.kind) {
    case 'filled':
      return ctx.db.write('record_execution', { id, stage: 'filled', ...boughtIn(outcome), details: detailsOf(outcome) })
    case 'refused':
      return ctx.db.write('release_execution', { id, reason: `${outcome.reason}: ${outcome.detail}`, ...only })
    case 'unsold_leg':
      return ctx.db.write('record_execution', { id, stage: 'unsold_leg', ...unsoldIn(outcome), error: outcome.detail })
    case 'unknown':
      return ctx.db.write('record_execution', { id, stage: 'unknown', error: outcome.detail })
  }
}

function boughtIn({ shares, cost, fee, reference }: Outcome & { kind: 'filled' }) {
  const tx = reference === undefined ? {} : { tx_hash: reference }
  return { amount: dollars(cost), fees: dollars(fee), shares: shareCount(shares), entry_price: averageOf(cost, shares), ...tx }
}

function unsoldIn({ shares, cost, reference }: Outcome & { kind: 'unsold_leg' }) {
  return { amount: dollars(cost), shares: shareCount(shares), ...(reference !== undefined && { tx_hash: reference }) }
}

function detailsOf({ report, isEstimate, reference }: Outcome & { kind: 'filled' }) {
  return { report: report ?? null, isEstimate, reference: reference ?? null }
}

function averageOf(cost: number, shares: number): number {
  return Math.min(1, cost / shares / onePrice)
}
