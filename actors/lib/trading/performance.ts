import * as z from 'zod'
import type { AgentRow, Finding } from './health.ts'

const count = z
  .number()
  .nullable()
  .transform((value) => value ?? 0)

/** Rows, as far as a summary looks at them. */
export const performanceRows = z.array(
  z.object({
    agent_id: z.string(),
    jobs_completed: count,
    jobs_failed: count,
    trades_executed: count,
    trades_profitable: count,
    total_pnl: count,
  }),
)
export const dailyRows = z.array(z.object({ trades: count, winners: count, losers: count, total_pnl: count }))
export const opportunityRows = z.array(z.object({ status: z.string() }))
export const executionRows = z.array(
  z.object({ status: z.string(), amount: count, created_at: z.string().transform((at) => Date.parse(at)) }),
)

/** What a summary is made of: the rows of one UTC day, and how things are now. */
export interface DayRows {
  /** YYYY-MM-DD. */
  readonly day: string
  readonly performance: z.output<typeof performanceRows>
  /** The day's settled trades, by agent. */
  readonly settled: z.output<typeof dailyRows>
  readonly opportunities: z.output<typeof opportunityRows>
  /** The day's trades, and those that are open. */
  readonly executions: z.output<typeof executionRows>
  readonly agents: readonly AgentRow[]
  readonly findings: readonly Finding[]
  /** USD; undefined while system_config makes no sense. */
  readonly limits: { readonly maxDailyExposure: number; readonly tradingEnabled: boolean } | undefined
}

/** One UTC day of the team. Amounts in USD. */
export interface Summary {
  readonly day: string
  readonly agents: Readonly<Record<string, number>>
  readonly jobs: { readonly completed: number; readonly failed: number }
  readonly opportunities: Readonly<Record<string, number>>
  readonly trades: {
    readonly bought: number
    readonly open: number
    readonly settled: number
    readonly winners: number
    readonly losers: number
    readonly pnl: number
  }
  readonly exposure: { readonly today: number; readonly limit: number | null }
  readonly isTradingEnabled: boolean
  readonly findings: readonly string[]
  /** All of it in a few lines, for people. */
  readonly text: string
}

/** Adds a day up. */
export function summaryOf(rows: DayRows): Summary {
  const { day, performance, settled, executions, limits } = rows
  const today = executions.filter(({ status, created_at }) => status !== 'failed' && dayOf(created_at) === day)
  const numbers = {
    day,
    agents: counted(rows.agents.map(({ status, health_status }) => (health_status === 'stale' && status !== 'offline' ? 'stale' : status))),
    jobs: { completed: sum(performance, (row) => row.jobs_completed), failed: sum(performance, (row) => row.jobs_failed) },
    opportunities: counted(rows.opportunities.map(({ status }) => status)),
    trades: {
      bought: today.filter(({ status }) => status !== 'pending').length,
      open: executions.filter(({ status }) => status === 'executed' || status === 'pending').length,
      settled: sum(settled, ({ trades }) => trades),
      winners: sum(settled, ({ winners }) => winners),
      losers: sum(settled, ({ losers }) => losers),
      pnl: rounded(sum(settled, ({ total_pnl }) => total_pnl)),
    },
    exposure: { today: rounded(sum(today, ({ amount }) => amount)), limit: limits?.maxDailyExposure ?? null },
    isTradingEnabled: limits?.tradingEnabled ?? false,
    findings: rows.findings.map(({ text }) => text),
  }
  return { ...numbers, text: textOf(numbers) }
}

/** The UTC day of a moment. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

const day = 86_400_000

/** The periods that ended when `today` began: the day before, its week if that was a Sunday, its month if that was the last. */
export function endedPeriods(today: string): readonly { readonly period: 'daily' | 'weekly' | 'monthly'; readonly day: string }[] {
  const start = Date.parse(today)
  const yesterday = dayOf(start - day)
  const date = new Date(start)
  return [
    { period: 'daily', day: yesterday },
    ...(date.getUTCDay() === 1 ? [{ period: 'weekly', day: yesterday } as const] : []),
    ...(date.getUTCDate() === 1 ? [{ period: 'monthly', day: yesterday } as const] : []),
  ]
}

// Nobody reads further back.
const mostDays = 62

/** All periods that have ended since `last` was going on; after a pause of the team these are those of several days. */
export function endedSince(last: string | null, today: string): ReturnType<typeof endedPeriods> {
  const days = last === null ? 1 : Math.min(mostDays, Math.round((Date.parse(today) - Date.parse(last)) / day))
  return Array.from({ length: Math.max(1, days) }, (_, at) => endedPeriods(dayOf(Date.parse(today) - at * day)))
    .reverse()
    .flat()
}

function textOf({ day: of, agents, jobs, opportunities, trades, exposure, isTradingEnabled, findings }: Omit<Summary, 'text'>): string {
  const { limit, today } = exposure
  return [
    `${of}: agents ${listed(agents)}; jobs ${jobs.completed} completed, ${jobs.failed} failed`,
    `opportunities ${listed(opportunities)}; trades ${trades.bought} bought, ${trades.open} open, ${trades.settled} settled (${trades.winners} won, ${trades.losers} lost), P&L ${trades.pnl} USD`,
    `committed ${today} USD${limit === null ? '' : ` of ${limit}`}${isTradingEnabled ? '' : '; trading is off'}`,
    findings.length === 0 ? 'nothing is wrong' : `wrong: ${findings.slice(0, 10).join('; ')}`,
  ].join('\n')
}

function listed(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, number]) => `${number} ${name}`)
  return parts.length === 0 ? 'none' : parts.join(', ')
}

function counted(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const word of words.toSorted()) counts[word] = (counts[word] ?? 0) + 1
  return counts
}

function sum<Row>(rows: readonly Row[], of: (row: Row) => number): number {
  return rows.reduce((total, row) => total + of(row), 0)
}

/** Sums of decimals in binary have a tail that nobody means. */
function rounded(usd: number): number {
  return Math.round(usd * 1_000_000) / 1_000_000
}
