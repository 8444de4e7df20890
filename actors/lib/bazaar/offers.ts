import { ActorError } from 'troupe/actor'
import * as z from 'zod'
import { jobText } from './assignments.ts'
import { bidHindrance, bidOf, byWorth, faceOf, hindrance, ownBid } from './bidding.ts'
import { freeFor, isAtWork, type Load } from './capacity.ts'
import type { Marketplace } from './client.ts'
import type { Ctx, Registered } from './gateway.ts'
import { type Evaluation, evaluation } from './job.ts'
import { later, withBid } from './state.ts'
import type { MarketJob } from './wire.ts'

/** Jobs that a specialist is asked about at a time, and ms that it has: a busy one is asked the next time. */
const atATime = 10
/** Characters of a description that it is asked about: all jobs together are one message. */
const read = 5_000
const askTimeout = 5_000
const pause = { first: 30_000, most: 15 * 60_000 }
/** Refused bids in a row before there is a pause. */
const patience = 3
const evaluations = z.array(evaluation)

type Offer = { readonly job: MarketJob; readonly evaluation: Evaluation }

/** Bids for what an agent wants and can do, never for more than it could win at a time. */
export async function bidFor(ctx: Ctx, market: Marketplace, served: Registered, jobs: readonly MarketJob[], load: Load): Promise<void> {
  const { agent } = served.profile
  const free = () => freeFor(agent, load, ctx.state, { now: ctx.now(), bidLapse: ctx.args.bidLapse })
  if (free() === 0 || ctx.state.refusals.until > ctx.now()) return
  if (isAtWork(agent, load)) return
  const open = jobs.filter((job) => isNew(ctx, served, job)).slice(0, atATime)
  for (const { job, evaluation } of await offersOf(ctx, served, open)) {
    if (free() === 0 || ctx.state.refusals.until > ctx.now()) return
    await bid(ctx, market, served, job, evaluation)
  }
}

function isNew(ctx: Ctx, { profile }: Registered, job: MarketJob): boolean {
  const { state } = ctx
  if (hindrance(job, profile) !== undefined) return false
  return (
    state.declined[declinedKey(profile.agent, job)] !== faceOf(job) &&
    !state.bids.some(({ agent, jobId }) => agent === profile.agent && jobId === job.job_id)
  )
}

async function offersOf(ctx: Ctx, { profile }: Registered, jobs: readonly MarketJob[]): Promise<Offer[]> {
  if (jobs.length === 0) return []
  const body = { jobs: jobs.map((job) => jobText(job, read)), minutes: jobs.map(({ deadline_minutes }) => deadline_minutes) }
  try {
    const said = evaluations.parse(await ctx.ask(profile.agent, 'evaluate', body, { timeout: askTimeout }))
    const offers: Offer[] = []
    for (const [at, job] of jobs.entries()) {
      const one = said[at]
      const reason = one === undefined ? 'it said nothing' : bidHindrance(one, job, ctx.args)
      if (one === undefined || reason !== undefined) decline(ctx, profile.agent, job, reason ?? '')
      else offers.push({ job, evaluation: one })
    }
    return offers.sort(byWorth)
  } catch (error) {
    if (!(error instanceof ActorError) || ctx.signal.aborted) throw error
    ctx.log.debug(`${profile.agent} was not to be asked: ${error.message}`)
    return []
  }
}

/** One bid; the job is read again, because the list is old by now and every refusal of a bid is the same error. */
async function bid(ctx: Ctx, market: Marketplace, served: Registered, listed: MarketJob, given: Evaluation): Promise<void> {
  const { serverId, profile } = served
  const { agent } = profile
  const fresh = await market.job(listed.job_id)
  if (fresh.kind !== 'ok') return
  const job = fresh.value
  if (ownBid(job, serverId) !== undefined) return adoptBid(ctx, served, job)
  const reason = hindrance(job, profile) ?? bidHindrance(given, job, ctx.args)
  if (reason !== undefined) return decline(ctx, agent, job, reason)
  const answer = await placeOnce(ctx, market, job, bidOf(serverId, given))
  if (answer.kind === 'ok') {
    ctx.log.info(`${agent} bids ${given.priceUsd} USD for "${job.title}"`, { job_id: job.job_id })
    ctx.state = {
      ...withBid(ctx.state, { agent, jobId: job.job_id, bidId: answer.value.bid_id, at: ctx.now() }),
      refusals: { times: 0, until: 0 },
    }
    return
  }
  if (answer.kind === 'away') {
    // It may have arrived: until the job tells, it counts.
    ctx.state = withBid(ctx.state, { agent, jobId: job.job_id, bidId: null, at: ctx.now() })
    return
  }
  await refused(ctx, market, served, job, `${answer.status} ${answer.detail}`)
}

/** A bid is placed once, however often the turn is repeated; a repeat that cannot know takes it for one that may have arrived. */
async function placeOnce(ctx: Ctx, market: Marketplace, job: MarketJob, wanted: ReturnType<typeof bidOf>) {
  try {
    return await ctx.step(`bid ${wanted.agent_id} ${job.job_id}`, () => market.bid(job.job_id, wanted), { once: true })
  } catch (error) {
    if (error instanceof ActorError && error.code === 'STEP_UNKNOWN') return { kind: 'away', reason: error.message } as const
    throw error
  }
}

async function refused(ctx: Ctx, market: Marketplace, served: Registered, job: MarketJob, reason: string): Promise<void> {
  const again = await market.job(job.job_id)
  if (again.kind === 'ok' && ownBid(again.value, served.serverId) !== undefined) return adoptBid(ctx, served, again.value)
  decline(ctx, served.profile.agent, again.kind === 'ok' ? again.value : job, `the bid was refused: ${reason}`)
  const { times } = ctx.state.refusals
  const paused = later(Math.max(0, times - patience), ctx.now(), { ...pause, chance: Math.random() }).until
  ctx.state = { ...ctx.state, refusals: { times: times + 1, until: times + 1 >= patience ? paused : 0 } }
}

/** A bid of before that is still there, such as of the life before a crash. */
export function adoptBid(ctx: Ctx, { serverId, profile }: Registered, job: MarketJob): void {
  const own = ownBid(job, serverId)
  if (own === undefined) return
  const isOver = ['rejected', 'withdrawn', 'cancelled'].includes(own.status)
  if (isOver) return decline(ctx, profile.agent, job, `the bid was ${own.status}`)
  // It is as old as it is, whenever it was found; no clock makes it younger.
  const at = Math.min(own.created_at ?? ctx.now(), ctx.now())
  ctx.state = withBid(ctx.state, { agent: profile.agent, jobId: job.job_id, bidId: own.bid_id, at })
}

/** Remembers that an agent does not want a job, as long as that stays as it is. */
export function decline(ctx: Ctx, agent: string, job: MarketJob, reason: string): void {
  ctx.log.debug(`${agent} does not bid for "${job.title}": ${reason}`, { job_id: job.job_id })
  ctx.state = { ...ctx.state, declined: { ...ctx.state.declined, [declinedKey(agent, job)]: faceOf(job) } }
}

export function declinedKey(agent: string, { job_id }: Pick<MarketJob, 'job_id'>): string {
  return `${agent} ${job_id}`
}
