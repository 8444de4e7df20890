import { type Context, defineActor } from 'troupe/actor'
import * as z from 'zod'
import { readLimits } from './lib/markets/limits.ts'
import { dollars } from './lib/markets/units.ts'
import { allRows } from './lib/trading/all-rows.ts'
import { openTrades } from './lib/trading/execution.ts'
import {
  agentRows,
  deadJobRows,
  type Finding,
  findingsOf,
  jobRows,
  letterRows,
  pipelineRows,
  unclearRows,
  type Vitals,
} from './lib/trading/health.ts'
import { type Alert, isInCharge, newsOf, type OpenFindings } from './lib/trading/health-news.ts'
import {
  dailyRows,
  dayOf,
  endedPeriods,
  endedSince,
  executionRows,
  opportunityRows,
  performanceRows,
  type Summary,
  summaryOf,
} from './lib/trading/performance.ts'

const args = z.object({
  /** Ms between two health checks. */
  interval: z.number().min(1_000).default(60_000),
  /** Ms that a job may wait, or be in somebody's hands. */
  stuckAfter: z
    .number()
    .min(0)
    .default(30 * 60_000),
  /** Ms after which what is still wrong is told once more, as urgent. */
  escalateAfter: z
    .number()
    .min(0)
    .default(30 * 60_000),
})

interface State {
  readonly open: OpenFindings
  /** The UTC day that was going on at the last check. */
  readonly day: string | null
}

const sql = [
  'system_config',
  'v_agent_dashboard',
  'v_active_jobs',
  'v_dead_jobs',
  'v_dead_letters',
  'v_opportunity_pipeline',
  'v_daily_performance',
  'agent_performance',
  'trade_opportunities',
  'trade_executions',
  'sweep_rows',
  'record_performance',
] as const

type Ctx = Context<z.output<typeof args>, State, (typeof sql)[number]>

const day = 86_400_000
/** Ms from the start: what the views say before is of the last time that the team ran. */
const firstAfter = 10_000
/** A view gives no more rows at once. */
const most = 1_000
/** In one message; the rest is counted. */
const mostTold = 20

/** Looks after the team: finds what is wrong and tells, puts right what may be put right, and keeps the books of each day. */
export default defineActor({
  args,
  sql,
  persist: true,
  messages: { check: z.null().optional(), summary: z.object({ day: z.iso.date().optional() }).nullish() },
  init(ctx): State {
    ctx.every(ctx.args.interval, 'check')
    ctx.after(firstAfter, 'check', null, { name: 'first' })
    return { open: {}, day: null }
  },
  receive: {
    async check(_, ctx) {
      const { vitals, coordinator } = await look(ctx)
      const findings = findingsOf(vitals)
      ctx.db.write('sweep_rows')
      ctx.db.write('record_performance')
      const { open, alerts, over } = newsOf(ctx.state.open, findings, { now: ctx.now(), escalateAfter: ctx.args.escalateAfter })
      const isSpeaker = isInCharge(ctx.self, coordinator, vitals.agents)
      if (isSpeaker) tellAlerts(ctx, alerts, over)
      const today = dayOf(ctx.now())
      if (ctx.state.day !== today) await beginDay(ctx, today, isSpeaker)
      // Another one tells meanwhile; what is open then is new to this one should it take over.
      ctx.state = { open: isSpeaker ? open : {}, day: today }
      ctx.status('idle', statusText(vitals.agents.length, findings))
      return { isSpeaker, findings, alerts: alerts.length, over }
    },
    async summary(asked, ctx): Promise<Summary> {
      const of = asked?.day ?? dayOf(ctx.now())
      await ctx.db.call('record_performance', { day: of })
      return await summarize(ctx, of)
    },
  },
})

/** One line, because it is part of a line that stays. */
function statusText(agents: number, [first, ...others]: readonly Finding[]): string {
  if (first === undefined) return `${agents} agents, nothing is wrong`
  return others.length === 0 ? first.text : `${first.text}; and ${others.length} more`
}

/** Everything that a check judges. system_config is read each time: what people change counts from now on. */
async function look(ctx: Ctx): Promise<{ vitals: Vitals; coordinator: string }> {
  const before = new Date(ctx.now() - ctx.args.stuckAfter).toISOString()
  const since = new Date(ctx.now() - day).toISOString()
  const limit = most
  const [config, agents, waiting, running, deadJobs, deadLetters, pipeline, unclear] = await Promise.all([
    ctx.db.read('system_config'),
    ctx.db.read('v_agent_dashboard', {}, { limit }),
    ctx.db.read('v_active_jobs', { status: 'pending', run_at: { lt: before } }, { limit }),
    ctx.db.read('v_active_jobs', { status: { in: ['assigned', 'in_progress'] }, assigned_at: { lt: before } }, { limit }),
    ctx.db.read('v_dead_jobs', { died_at: { gte: since } }, { limit }),
    ctx.db.read('v_dead_letters', { died_at: { gte: since } }, { limit }),
    ctx.db.read('v_opportunity_pipeline', { urgency: 'urgent' }, { limit }),
    ctx.db.read('trade_executions', { status: 'pending', stage: { in: ['ordered', 'unknown'] }, created_at: { lt: before } }, { limit }),
  ])
  const limits = readLimits(config)
  return {
    vitals: {
      agents: agentRows.parse(agents),
      slowJobs: jobRows.parse([...waiting, ...running]),
      deadJobs: deadJobRows.parse(deadJobs),
      deadLetters: letterRows.parse(deadLetters),
      pipeline: pipelineRows.parse(pipeline),
      unclearTrades: unclearRows.parse(unclear),
      isConfigFine: limits !== undefined,
    },
    coordinator: limits?.coordinator ?? 'coordinator-main',
  }
}

function tellAlerts(ctx: Ctx, alerts: readonly Alert[], over: readonly string[]): void {
  for (const { text, next, news } of alerts.slice(0, mostTold)) ctx.log.warn(`${news === 'new' ? '' : `${news}: `}${text}`, { next })
  for (const key of over.slice(0, mostTold)) ctx.log.info(`over: ${key}`)
  if (alerts.length === 0) return
  const isUrgent = alerts.some(({ news, kind }) => news === 'escalated' || kind === 'opportunities_urgent')
  const findings = alerts.slice(0, mostTold)
  const more = alerts.length > mostTold ? [`and ${alerts.length - mostTold} more`] : []
  const text = [...findings.map((alert) => alert.text), ...more].join('; ')
  ctx.broadcast('Health Check', { text, findings }, { priority: isUrgent ? 'urgent' : 'high' })
}

/** Closes the books of what has ended since the last check, and tells how the day went. The first check of all closes them too. */
async function beginDay(ctx: Ctx, today: string, isSpeaker: boolean): Promise<void> {
  for (const { period, day: of } of endedSince(ctx.state.day, today)) await ctx.db.call('record_performance', { period, day: of })
  const [{ day: yesterday } = { day: today }] = endedPeriods(today)
  if (!isSpeaker || ctx.state.day === null) return
  const summary = await summarize(ctx, yesterday)
  ctx.log.info(summary.text)
  ctx.broadcast('Daily Summary', summary)
}

async function summarize(ctx: Ctx, of: string): Promise<Summary> {
  const during = { gte: `${of}T00:00:00Z`, lt: new Date(Date.parse(of) + day).toISOString() }
  const limit = most
  const [{ vitals }, config, performance, settled, opportunities, bought, open] = await Promise.all([
    look(ctx),
    ctx.db.read('system_config'),
    ctx.db.read('agent_performance', { period: 'daily', period_start: of }, { limit }),
    ctx.db.read('v_daily_performance', { day: of }, { limit }),
    allRows('trade_opportunities', { discovered_at: during }, ctx),
    allRows('trade_executions', { created_at: during }, ctx),
    allRows('trade_executions', { ...openTrades, created_at: { lt: during.gte } }, ctx),
  ])
  const limits = readLimits(config)
  return summaryOf({
    day: of,
    agents: vitals.agents,
    findings: findingsOf(vitals),
    performance: performanceRows.parse(performance),
    settled: dailyRows.parse(settled),
    opportunities: opportunityRows.parse(opportunities),
    executions: executionRows.parse([...bought, ...open]),
    limits: limits && { maxDailyExposure: dollars(limits.maxDailyExposure), tradingEnabled: limits.tradingEnabled },
  })
}
