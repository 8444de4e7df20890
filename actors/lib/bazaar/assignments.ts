import * as z from 'zod'
import { shortfall } from './bidding.ts'
import type { Marketplace } from './client.ts'
import type { Ctx, Registered } from './gateway.ts'
import type { SpecialistJob } from './job.ts'
import { end, seenAgain, type Won, withoutBid } from './state.ts'
import type { MarketJob } from './wire.ts'

const minute = 60_000
/** A job's payload has at most 1 MiB: bytes of all attachments together, and characters of the description. */
const filesAtMost = 500_000
const descriptionAtMost = 50_000
/** How often won work may be begun: each end of the process in mid-work is an attempt, but no reason to break a promise. */
const beginnings = 20
const rows = z.array(z.object({ id: z.string(), created_at: z.string() }))

/** The name of an assignment, by the marketplace's own id of the agent: the same job, assigned again, is another one. */
export function assignmentKey(serverId: string, { job_id, assigned_at }: MarketJob): string {
  return `bazaar:${serverId}:${job_id}:${assigned_at ?? 0}`
}

/** Takes an assigned job on: a row of agent_jobs for its agent, in the same commit as the knowledge of it. */
export async function adopt(ctx: Ctx, market: Marketplace, { profile, serverId }: Registered, job: MarketJob): Promise<void> {
  if (job.assigned_agent_id !== serverId || job.status !== 'assigned') return
  const { agent } = profile
  const key = assignmentKey(serverId, job)
  const { won: working, ended } = ctx.state
  if ([...working, ...ended].some((one) => one.key === key)) {
    ctx.state = seenAgain(withoutBid(ctx.state, { agent, jobId: job.job_id }), key, ctx.now())
    return
  }
  // Lists show no bids.
  const told = await market.job(job.job_id)
  if (told.kind !== 'ok') return
  ctx.state = withoutBid(ctx.state, { agent, jobId: job.job_id })
  const reason = shortfall(told.value, profile)
  if (reason !== undefined) return lose(ctx, { key, agent, jobId: job.job_id }, reason)
  const deadline = (job.assigned_at ?? ctx.now()) + job.deadline_minutes * minute
  const rowId = (await earlierRow(ctx, profile.job, key)) ?? (await newRow(ctx, market, { key, profile, job, deadline }))
  const won: Won = { key, agent, jobId: job.job_id, rowId, deadline, tries: 0, nextAt: 0 }
  ctx.state = { ...ctx.state, won: [...ctx.state.won, won] }
  ctx.log.info(`${agent} won "${job.title}"`, { job_id: job.job_id })
}

/** The work that another gateway began for the same assignment. */
async function earlierRow(ctx: Ctx, job_type: string, dedupe_key: string): Promise<string | undefined> {
  const found = rows.parse(await ctx.db.read('agent_jobs', { job_type, dedupe_key }, { order: [{ by: 'created_at' }], limit: 1 }))
  return found[0]?.id
}

type NewWork = Pick<Won, 'key' | 'deadline'> & Pick<Registered, 'profile'> & { readonly job: MarketJob }

async function newRow(ctx: Ctx, market: Marketplace, { key, profile, job, deadline }: NewWork): Promise<string> {
  const payload: SpecialistJob = {
    ...jobText(job, descriptionAtMost),
    files: await filesOf(market, job),
    deadline,
    origin: { gateway: ctx.self, key, jobId: job.job_id },
  }
  return ctx.jobs.create(profile.job, payload, { target: profile.agent, dedupeKey: key, maxAttempts: beginnings })
}

/** What is told to a specialist of a job: `most` characters of its description at most, each up to six bytes of JSON. */
export function jobText({ title, description, required_capabilities, budget_usd }: MarketJob, most: number): SpecialistJob {
  const capabilities = required_capabilities.slice(0, 50).map((name) => name.slice(0, 100))
  const texts = { title: title.slice(0, 500), description: description.slice(0, most), capabilities }
  return { ...texts, files: [], budgetUsd: budget_usd, deadline: null, origin: null }
}

async function filesOf(market: Marketplace, { job_id, attachments }: MarketJob): Promise<{ name: string; text: string }[]> {
  const files: { name: string; text: string }[] = []
  let left = filesAtMost
  for (const { file_id, original_filename } of attachments.slice(0, 10)) {
    const text = await market.file(job_id, file_id)
    const bytes = Buffer.byteLength(JSON.stringify(text ?? ''))
    if (text === undefined || bytes > left) continue
    left -= bytes
    files.push({ name: original_filename.slice(0, 200), text })
  }
  return files
}

/** Looks at what was won but is not listed as assigned: the list shows the newest jobs only, so the job itself tells. */
export async function recheck(
  ctx: Ctx,
  market: Marketplace,
  { profile, serverId }: Registered,
  listed: ReadonlySet<string>,
): Promise<void> {
  for (const won of ctx.state.won.filter(({ agent, key }) => agent === profile.agent && !listed.has(key))) {
    const answer = await market.job(won.jobId)
    if (answer.kind === 'refused' && answer.status === 404) lose(ctx, won, 'the job was deleted')
    if (answer.kind !== 'ok') continue
    const { value: job } = answer
    if (job.result?.executed_by === serverId && job.status !== 'assigned') {
      ctx.state = end(ctx.state, won, 'delivered', 'it had arrived', ctx.now())
    } else if (job.status !== 'assigned' || job.assigned_agent_id !== serverId || assignmentKey(serverId, job) !== won.key) {
      lose(ctx, won, `the job is ${job.status}${job.assigned_agent_id === serverId ? '' : ', and not ours'}`)
    }
  }
}

/** A job that is not ours any more: its work may go on, but nobody gets its result. */
export function lose(ctx: Ctx, won: Pick<Won, 'key' | 'agent' | 'jobId'>, reason: string): void {
  ctx.log.warn(`${won.agent} lost a job: ${reason}`, { job_id: won.jobId })
  ctx.state = end(ctx.state, won, 'lost', reason, ctx.now())
}
