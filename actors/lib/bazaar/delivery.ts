import * as z from 'zod'
import { type ModelUsage, withoutUsage } from '../model-usage.ts'
import { lose } from './assignments.ts'
import type { Answer, Marketplace, Submission } from './client.ts'
import type { Ctx, Registered } from './gateway.ts'
import { end, later, type Won } from './state.ts'

const rows = z.array(
  z.object({
    id: z.string(),
    status: z.string(),
    result: z.unknown(),
    error_message: z.string().nullable(),
    dead_reason: z.string().nullable(),
  }),
)
type Row = z.output<typeof rows>[number]

const pace = { first: 2_000, most: 5 * 60_000 }
/** Ms after the deadline. The marketplace takes what is late, and a night without it must not cost the work. */
const givenUpAfter = 86_400_000

/** Delivers what is done of the given work, and says what failed. */
export async function deliverDone(ctx: Ctx, market: Marketplace, served: Registered, which: (won: Won) => boolean): Promise<void> {
  const due = ctx.state.won.filter((won) => won.agent === served.profile.agent && won.nextAt <= ctx.now() && which(won))
  if (due.length === 0) return
  const found = rows.parse(await ctx.db.read('agent_jobs', { id: { in: due.map(({ rowId }) => rowId) } }))
  for (const won of due) {
    const row = found.find(({ id }) => id === won.rowId)
    if (row === undefined) forget(ctx, won)
    else if (row.status === 'completed') await deliver(ctx, market, served, won, row.result)
    else if (row.status === 'failed' || row.status === 'cancelled') await fail(ctx, market, served, won, reasonOf(row))
  }
}

/** A row that is not there: somebody pruned it, or a live one of its key took its place. The next poll adopts the job anew. */
function forget(ctx: Ctx, won: Won): void {
  ctx.state = { ...ctx.state, won: ctx.state.won.filter(({ key }) => key !== won.key) }
}

/** The server wants a text. */
export function outputOf(result: unknown): string {
  return typeof result === 'string' ? result : JSON.stringify(result)
}

function reasonOf({ status, error_message, dead_reason }: Row): string {
  return error_message ?? dead_reason ?? `the work was ${status}`
}

async function deliver(ctx: Ctx, market: Marketplace, served: Registered, won: Won, result: unknown): Promise<void> {
  const { output, used } = withoutUsage(result)
  const answer = await market.submit(won.jobId, submission(served, true, outputOf(output), used))
  if (answer.kind === 'ok') return delivered(ctx, won, 'accepted')
  await afterRefusal(ctx, market, served, won, answer)
}

/** The poster reads which models were asked and the tokens; what that cost the owner stays here. */
function submission({ serverId, profile }: Registered, success: boolean, output: string, used: ModelUsage = []): Submission {
  const model = used.map((one) => one.model).join(', ') || (profile.model ?? '')
  const tokens = used.reduce((sum, { inputTokens, outputTokens }) => sum + inputTokens + outputTokens, 0)
  return { success, output, tokens_used: Math.round(tokens), model, executed_by: serverId }
}

function delivered(ctx: Ctx, won: Won, reason: string): void {
  ctx.log.info(`${won.agent} delivered`, { job_id: won.jobId })
  ctx.state = end(ctx.state, won, 'delivered', reason, ctx.now())
}

/** What was refused may have arrived before: the job tells. */
async function afterRefusal(ctx: Ctx, market: Marketplace, { serverId }: Registered, won: Won, answer: Answer<unknown>): Promise<void> {
  if (answer.kind === 'refused' && answer.status === 404) return lose(ctx, won, 'the job was deleted')
  if (answer.kind === 'refused' && answer.status === 403) return lose(ctx, won, 'another agent has it')
  if (answer.kind === 'refused' && answer.status === 400) {
    const job = await market.job(won.jobId)
    if (job.kind === 'ok' && job.value.result?.executed_by === serverId) return delivered(ctx, won, 'it had arrived before')
    if (job.kind === 'ok' && job.value.status !== 'assigned') return lose(ctx, won, `the job is ${job.value.status}`)
  }
  if (answer.kind === 'refused' && (answer.status === 413 || answer.status === 422))
    return keepFailure(ctx, won, `the marketplace takes no such result: ${answer.status} ${answer.detail}`)
  again(ctx, won, answer, 'it could not be delivered')
}

/** Tries once more, later each time, until a day after the deadline: then nobody waits for it, and its agent may win something else. */
function again(ctx: Ctx, won: Won, answer: Answer<unknown>, what: string): void {
  const reason = answer.kind === 'refused' ? `${answer.status} ${answer.detail}` : answer.kind === 'away' ? answer.reason : ''
  if (ctx.now() > won.deadline + givenUpAfter) return keepFailure(ctx, won, `${what}: ${reason}`)
  const { times, until } = later(won.tries, ctx.now(), { ...pace, chance: Math.random() })
  ctx.state = { ...ctx.state, won: ctx.state.won.map((one) => (one.key === won.key ? { ...one, tries: times, nextAt: until } : one)) }
  ctx.log.warn(`${won.agent} could not deliver yet: ${reason}`, { job_id: won.jobId })
  ctx.after(Math.ceil(until - ctx.now()), 'finished', { key: won.key }, { name: `deliver ${won.key}` })
}

async function fail(ctx: Ctx, market: Marketplace, served: Registered, won: Won, reason: string): Promise<void> {
  switch (ctx.args.onFailure) {
    case 'keep':
      return keepFailure(ctx, won, reason)
    case 'tell': {
      const answer = await market.submit(won.jobId, submission(served, false, reason))
      if (answer.kind === 'away') return again(ctx, won, answer, reason)
      // Today's server answers an error to every failure, and leaves the job assigned: that is no reason to say it again.
      const isTold = await hasArrived(market, served, won, answer)
      return keepFailure(ctx, won, isTold ? reason : `${reason} (the marketplace did not take the failure)`)
    }
    case 'report': {
      const answer = await market.submit(won.jobId, submission(served, true, failureReport(reason)))
      if (answer.kind === 'away' || (answer.kind === 'refused' && answer.status >= 500)) return again(ctx, won, answer, reason)
      return keepFailure(ctx, won, (await hasArrived(market, served, won, answer)) ? `${reason} (reported)` : reason)
    }
  }
}

/** Whether it was taken, now or at an attempt whose answer was lost. */
async function hasArrived(market: Marketplace, { serverId }: Registered, { jobId }: Won, answer: Answer<unknown>): Promise<boolean> {
  if (answer.kind === 'ok') return true
  if (answer.kind !== 'refused' || answer.status !== 400) return false
  const job = await market.job(jobId)
  return job.kind === 'ok' && job.value.result?.executed_by === serverId
}

/** A result that nobody can take for one. */
export function failureReport(reason: string): string {
  return JSON.stringify({ failed: true, reason, note: 'The work failed. This report is no result of it.' })
}

function keepFailure(ctx: Ctx, won: Won, reason: string): void {
  ctx.log.error(`${won.agent} failed a job: ${reason}`, { job_id: won.jobId })
  ctx.state = end(ctx.state, won, 'failed', reason, ctx.now())
}
