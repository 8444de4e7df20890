import { adopt, assignmentKey, recheck } from './assignments.ts'
import { goneAway } from './away.ts'
import { fateOf } from './bidding.ts'
import type { Marketplace } from './client.ts'
import { deliverDone } from './delivery.ts'
import { type Ctx, marketOf, type Registered, readLoad, registeredOf } from './gateway.ts'
import { bidFor, decline } from './offers.ts'
import { withBid, withoutBid } from './state.ts'
import type { MarketJob } from './wire.ts'

/** Looks at the marketplace for all agents: first what was won and done, then what there is to win. */
export async function poll(ctx: Ctx): Promise<void> {
  if (ctx.state.away.until > ctx.now()) return
  const served = registeredOf(ctx.state)
  if (served.length === 0) return
  const market = marketOf(ctx)
  const list = await market.jobs()
  if (list.kind !== 'ok') return goneAway(ctx, list.kind === 'away' ? list.reason : `${list.status} ${list.detail}`)
  if (ctx.state.away.times > 0) ctx.log.info('The marketplace answers again')
  ctx.state = { ...ctx.state, away: { times: 0, until: 0 }, declined: stillListed(ctx.state.declined, list.value) }
  for (const one of served) await keepUp(ctx, market, one)
  const load = await readLoad(ctx)
  for (const one of served) await bidFor(ctx, market, one, list.value, load)
  const { bids, won } = ctx.state
  ctx.status('idle', `${served.length} on the marketplace, ${bids.length} bids open, ${won.length} jobs in work`)
}

/** What one agent has on the marketplace. */
async function keepUp(ctx: Ctx, market: Marketplace, served: Registered): Promise<void> {
  const before = new Set(ctx.state.won.map(({ key }) => key))
  const assigned = await market.assigned(served.serverId)
  if (assigned.kind !== 'ok') return
  for (const job of assigned.value) await adopt(ctx, market, served, job)
  await watchBids(ctx, market, served)
  const listed = new Set(assigned.value.map((job) => assignmentKey(served.serverId, job)))
  await recheck(ctx, market, served, listed)
  // The rows of what was won just now come with this turn's commit.
  await deliverDone(ctx, market, served, ({ key }) => before.has(key))
}

/** Each open bid is looked at by its own job: an assignment of an older job is in no list. */
async function watchBids(ctx: Ctx, market: Marketplace, served: Registered): Promise<void> {
  for (const bid of ctx.state.bids.filter(({ agent }) => agent === served.profile.agent)) {
    const answer = await market.job(bid.jobId)
    const isGone = answer.kind === 'refused' && answer.status === 404
    if (answer.kind !== 'ok' && !isGone) continue
    const job = answer.kind === 'ok' ? answer.value : null
    const fate = fateOf(bid, job, served.serverId, ctx.now())
    if (fate.kind === 'won' && job) await adopt(ctx, market, served, job)
    if (fate.kind === 'open' && fate.bidId !== bid.bidId) ctx.state = withBid(ctx.state, { ...bid, bidId: fate.bidId })
    if (fate.kind !== 'lost') continue
    ctx.log.info(`${bid.agent} lost a bid: ${fate.reason}`, { job_id: bid.jobId })
    ctx.state = withoutBid(ctx.state, bid)
    // A bid that never arrived may be made again.
    if (job && bid.bidId !== null) decline(ctx, bid.agent, job, fate.reason)
  }
}

function stillListed(declined: Readonly<Record<string, string>>, jobs: readonly MarketJob[]): Record<string, string> {
  const ids = new Set(jobs.map(({ job_id }) => job_id))
  return Object.fromEntries(Object.entries(declined).filter(([key]) => ids.has(key.slice(key.indexOf(' ') + 1))))
}
