import { ActorError } from 'troupe/actor'
import type { Broker } from '../markets/broker.ts'
import { dollars, shareCount } from '../markets/units.ts'
import { brokerFor, cliFor, openBroker } from './brokers.ts'
import { type Execution, readExecutions } from './execution.ts'
import { mayOpen, openSource, platformOf } from './market-source.ts'
import { offerOf } from './offer.ts'
import type { ExecuteTrade } from './opportunity.ts'
import { type Account, accountOf, haltReason } from './purse.ts'
import { type Plan, reserve } from './reserve.ts'
import { type Offer, type Planned, review, staleReason } from './review.ts'
import { sceneOf } from './scene.ts'
import { type Sent, sendAll } from './send.ts'
import type { TraderCtx } from './trader-args.ts'
import { unsentReason } from './unsent.ts'

/** What a job came to: what was bought, or why nothing was. */
export interface TradeResult {
  readonly decision: 'waiting' | 'executed' | 'partly' | 'rejected' | 'not_filled' | 'unsold_leg' | 'unknown'
  readonly reason?: string | undefined
  readonly edge?: number | undefined
  readonly broker?: string | undefined
  readonly trades: readonly {
    readonly market_id: string
    readonly side: string
    readonly shares: number
    readonly cost: number
    readonly fee: number
  }[]
}

const attempts = 3

/** Handles an execute_trade job: decides, or goes on where somebody stopped, and acts once. */
export async function trade(job: ExecuteTrade, ctx: TraderCtx): Promise<TradeResult> {
  const [row] = await ctx.db.read('trade_opportunities', { id: job.opportunity_id })
  const offer = offerOf(row, job, ctx.args.market)
  const begun = await executionsOf(job.opportunity_id, ctx)
  const [first] = begun
  if (first !== undefined) return (await givenUp(first, begun, offer, ctx)) ?? (await goOn(first, job, ctx))
  if (offer === undefined) return rejected(row === undefined ? 'no_opportunity' : 'bad_opportunity')
  const stale = staleReason(offer, ctx.now())
  // Nobody sweeps what was approved: its market would never be free again.
  if (stale !== undefined) return offer.status === 'approved' ? refuse(offer, stale, ctx) : rejected(stale)
  if (ctx.args.approval === 'manual' && offer.status === 'pending') return waiting(offer)
  return await decide(offer, job, ctx)
}

/** The job has done what it can: whoever approves makes the next one, so that nothing waits in the queue and no restart loses it. */
function waiting({ id }: Offer): TradeResult {
  return { decision: 'waiting', reason: `a person decides: troupe opportunities show ${id.slice(0, 8)}`, trades: [] }
}

/** What was reserved and not sent is as good as new, and is given up for what a new one would be refused for. */
async function givenUp(
  { details }: Execution,
  begun: readonly Execution[],
  offer: Offer | undefined,
  ctx: TraderCtx,
): Promise<TradeResult | undefined> {
  if (!begun.every(({ stage }) => stage === 'reserved')) return undefined
  const reason = offer === undefined ? 'bad_opportunity' : await unsentReason(details, offer, ctx)
  if (reason === undefined) return undefined
  const result = giveBack(begun, reason, ctx)
  return offer === undefined ? result : refuse(offer, reason, ctx)
}

/** Somebody has begun this trade and did not come to its end: its orders stay what they were. */
async function goOn({ details, event_id }: Execution, job: ExecuteTrade, ctx: TraderCtx): Promise<TradeResult> {
  const refusal = await reserve(details, { id: job.opportunity_id, eventId: event_id ?? undefined }, ctx)
  return await carryOut(details, job, ctx, refusal)
}

async function executionsOf(opportunity: string, ctx: TraderCtx): Promise<readonly Execution[]> {
  return readExecutions(await ctx.db.read('trade_executions', { opportunity_id: opportunity }, { order: [{ by: 'created_at' }] }))
}

async function decide(offer: Offer, job: ExecuteTrade, ctx: TraderCtx): Promise<TradeResult> {
  if (!mayOpen(offer.source, ctx.args.market) && offer.source !== ctx.args.market) return refuse(offer, 'source_not_allowed', ctx)
  const opened = await openSource(offer.source, { http: ctx.http, signal: ctx.signal, clock: ctx.now })
  const { name } = brokerFor(ctx.args, opened.name)
  for (let attempt = 1; ; attempt++) {
    const account = await readAccount(offer, { broker: name, platform: platformOf(opened.name) }, ctx)
    const halt = haltReason(account, ctx.args) ?? (await coolingReason(offer.marketId, opened.name, ctx))
    if (account === undefined || halt !== undefined) return refuse(offer, halt ?? 'config_missing', ctx)
    const scene = await sceneOf(offer, opened.source, { signal: ctx.signal })
    const decision = review(offer, scene, account, ctx.args.filter)
    if (decision.kind === 'reject') return refuse(offer, decision.reason, ctx, decision.edge)
    const orders = fitted(decision.orders, openBroker(name, ctx.self, opened, ctx.args), account).map((order, leg) => ({
      ...order,
      key: `opportunity:${offer.id}:${leg}`,
      at: scene.now,
    }))
    if (orders.some(({ shares }) => shares <= 0)) return refuse(offer, 'below_minimum', ctx, decision.edge)
    const basket = orders.length > 1 ? offer.id : null
    const { strategy } = offer
    const plan = {
      broker: name,
      source: opened.name,
      strategy,
      probability: decision.probability ?? null,
      basket,
      orders,
      edge: decision.edge,
    }
    const refusal = await reserve(plan, offer, ctx)
    if (refusal === undefined) return await carryOut(plan, job, ctx)
    // Others were faster: what they left may still be worth it. The legs of a set were given back, and their keys are used.
    if (!refusal.startsWith('max_') || basket !== null || attempt >= attempts) return refuse(offer, refusal, ctx, decision.edge)
  }
}

/** A live broker may take more than the shares cost; then fewer of them have to do. */
function fitted(orders: readonly Planned[], broker: Broker, { limits, used }: Account): readonly Planned[] {
  if (!broker.isLive) return orders
  const room = Math.min(limits.maxPositionSize - Math.max(used.market, used.event), limits.maxDailyExposure - used.today)
  return orders.map((order) => {
    const shares = Math.min(order.shares, Math.floor((order.shares * room) / broker.reserve(order)))
    return { ...order, shares, budget: broker.reserve({ ...order, shares }) }
  })
}

/** The money is that of one broker on one kind of market: what a simulation has lost keeps nobody from trading on the exchange. */
async function readAccount(
  { marketId, eventId }: Offer,
  money: { readonly broker: string; readonly platform: string },
  ctx: TraderCtx,
): Promise<Account | undefined> {
  const config = await ctx.db.read('system_config')
  const event = eventId === undefined ? {} : { event_id: eventId }
  const exposure = await ctx.db.call('trading_exposure', { market_id: marketId, ...event, ...money })
  const foreign = ctx.args.sharesWallet ? await foreignPositions(ctx) : []
  return accountOf(config, exposure, { bankroll: ctx.args.bankroll, marketId, foreign })
}

/** What somebody else holds in the same wallet. Without knowing it nothing may be bought, and only a person can help: no attempt is lost. */
async function foreignPositions(ctx: TraderCtx) {
  try {
    return await cliFor(ctx.self, ctx.args).positions({ signal: ctx.signal })
  } catch (cause) {
    ctx.signal.throwIfAborted()
    throw new ActorError('BLOCKED', `the wallet is shared, and what the other one holds cannot be read: ${(cause as Error).message}`, {
      cause,
    })
  }
}

/** A market that was just left at a loss is left alone for a while; at another source its id is another market's. */
async function coolingReason(market_id: string, source: string, ctx: TraderCtx): Promise<string | undefined> {
  const since = new Date(ctx.now() - ctx.args.coolDown).toISOString()
  const filter = { market_id, status: 'settled', exit_reason: 'stop_loss', settled_at: { gte: since } }
  const lost = readExecutions(await ctx.db.read('trade_executions', filter))
  return lost.some(({ details }) => details.source === source) ? 'cooling_down' : undefined
}

/** Approves, sends what is not sent, and writes down what became of it; goes on where a process died. */
async function carryOut(plan: Plan, job: ExecuteTrade, ctx: TraderCtx, refusal?: string): Promise<TradeResult> {
  const executions = (await executionsOf(job.opportunity_id, ctx)).filter(({ status }) => status !== 'failed')
  const problem = refusal ?? brokenReason(executions) ?? (await approve(job.opportunity_id, ctx))
  if (problem !== undefined) return giveBack(executions, problem, ctx)
  const opened = await openSource(plan.source, { http: ctx.http, signal: ctx.signal, clock: ctx.now })
  const broker = openBroker(plan.broker, ctx.self, opened, ctx.args)
  return resultOf(await sendAll(executions, plan, { broker, source: opened.source }, ctx), plan, broker)
}

/**
 * Why these are not one trade. Two traders with a job each for the same set may have reserved some of its legs each, of different sizes: a
 * trade is what one of them has decided.
 */
function brokenReason(executions: readonly Execution[]): string | undefined {
  const plans = new Set(executions.map(({ details }) => JSON.stringify(details.orders)))
  if (plans.size > 1) return 'decided_twice'
  return executions.length > 0 && executions.length === executions[0]?.details.orders.length ? undefined : 'released_before'
}

/** What was sent, by us or by another one meanwhile, stays: a look at what is open finds out what became of it. */
function giveBack(executions: readonly Execution[], reason: string, ctx: TraderCtx): TradeResult {
  for (const { id } of executions) ctx.db.write('release_execution', { id, reason, stage: 'reserved' })
  return rejected(reason)
}

/** Another trader's or a person's approval is as good as ours, and where a person decides it is the only one. */
async function approve(id: string, ctx: TraderCtx): Promise<string | undefined> {
  if (ctx.args.approval === 'manual') return await unapproved(id, ctx)
  const answer = await ctx.db.call('review_opportunity', { id, decision: 'approved', reviewed_by: ctx.self })
  const { verdict, status } = answer as { readonly verdict: string; readonly status?: string }
  if (verdict === 'ok' || verdict === 'repeat' || status === 'approved') return undefined
  return verdict === 'stale' ? `already_${status}` : verdict
}

/** Why it is not approved. What was begun while traders decided by themselves, and is not approved, is over: its orders are old. */
async function unapproved(id: string, ctx: TraderCtx): Promise<string | undefined> {
  const [row] = await ctx.db.read('trade_opportunities', { id })
  if (row?.status === 'approved') return undefined
  const reason = row?.status === 'pending' ? 'not_approved' : `already_${row?.status}`
  ctx.db.write('review_opportunity', { id, decision: 'rejected', reviewed_by: ctx.self, reason })
  return reason
}

function resultOf(outcomes: readonly Sent[], { edge }: Plan, broker: Broker): TradeResult {
  const trades = outcomes.flatMap(({ execution: { market_id, side }, outcome }) =>
    outcome.kind === 'filled'
      ? [{ market_id, side, shares: shareCount(outcome.shares), cost: dollars(outcome.cost), fee: dollars(outcome.fee) }]
      : [],
  )
  const failed = outcomes.map(({ outcome }) => outcome).find((outcome) => outcome.kind !== 'filled')
  const reason = failed?.kind === 'refused' ? failed.reason : failed?.detail
  const decision = failed === undefined ? 'executed' : trades.length > 0 ? 'partly' : failed.kind === 'refused' ? 'not_filled' : failed.kind
  return { decision, ...(reason !== undefined && { reason }), ...(edge !== undefined && { edge }), broker: broker.name, trades }
}

function refuse(offer: Offer, reason: string, ctx: TraderCtx, edge?: number): TradeResult {
  ctx.db.write('review_opportunity', { id: offer.id, decision: 'rejected', reviewed_by: ctx.self, reason: reasonText(reason, edge) })
  return rejected(reason, edge)
}

function reasonText(reason: string, edge: number | undefined): string {
  return edge === undefined ? reason : `${reason} (edge ${(edge * 100).toFixed(1)} %)`
}

function rejected(reason: string, edge?: number): TradeResult {
  return { decision: 'rejected', reason, ...(edge !== undefined && { edge }), trades: [] }
}
