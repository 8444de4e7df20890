import * as z from 'zod'
import { plainText } from '../markets/text.ts'

const time = z.string().transform((written) => Date.parse(written))

/** Rows of the views, as far as they are looked at here. */
export const agentRows = z.array(
  z.object({
    agent_id: z.string(),
    agent_type: z.string(),
    status: z.string(),
    blocked_reason: z.string().nullable(),
    minutes_since_heartbeat: z.number(),
    health_status: z.enum(['healthy', 'warning', 'stale']),
  }),
)
export const jobRows = z.array(
  z.object({ job_type: z.string(), status: z.string(), assigned_to: z.string().nullable(), lease_expires_at: time.nullable() }),
)
export const deadJobRows = z.array(z.object({ job_type: z.string(), reason: z.string().nullable(), error: z.string().nullable() }))
export const letterRows = z.array(z.object({ agent_id: z.string(), type: z.string().nullable(), reason: z.string().nullable() }))
export const pipelineRows = z.array(z.object({ market_question: z.string().nullable(), market_id: z.string(), urgency: z.string() }))
export const unclearRows = z.array(
  z.object({ market_id: z.string().nullable(), amount: z.number().nullable(), executed_by: z.string().nullable() }),
)

export type AgentRow = z.output<typeof agentRows>[number]

/** What a health check looks at. Jobs are those that wait or run too long; dead ones those of the last day; trades those that nobody knows the end of. */
export interface Vitals {
  readonly agents: readonly AgentRow[]
  readonly slowJobs: z.output<typeof jobRows>
  readonly deadJobs: z.output<typeof deadJobRows>
  readonly deadLetters: z.output<typeof letterRows>
  readonly pipeline: z.output<typeof pipelineRows>
  readonly unclearTrades: z.output<typeof unclearRows>
  readonly isConfigFine: boolean
}

export type FindingKind =
  | 'agent_stale'
  | 'agent_blocked'
  | 'agent_error'
  | 'jobs_waiting'
  | 'jobs_stuck'
  | 'jobs_dead'
  | 'messages_dead'
  | 'opportunities_urgent'
  | 'trades_unclear'
  | 'config_invalid'

/** Something that is not as it should be. The same key is the same thing, however often it is found. */
export interface Finding {
  readonly key: string
  readonly kind: FindingKind
  readonly count: number
  readonly text: string
  /** What somebody can do. */
  readonly next: string
}

/** Agents of the original system leave a row behind at every start; after so many minutes one is history, not trouble. */
const forgotten = 24 * 60

/** Whoever writes rows must not fill the coordinator's memory and messages. */
const limits = { findings: 500, key: 300, text: 500 } as const

/** Everything that is wrong, the same things under the same keys whenever it is asked. */
export function findingsOf(vitals: Vitals): readonly Finding[] {
  const findings = allFindings(vitals).slice(0, limits.findings)
  return findings.map(({ key, text, next, ...rest }) => ({
    ...rest,
    key: plainText(key, limits.key),
    text: plainText(text, limits.text),
    next: plainText(next, limits.text),
  }))
}

function allFindings(vitals: Vitals): readonly Finding[] {
  return [
    ...(vitals.isConfigFine ? [] : [configFinding]),
    ...vitals.agents.flatMap(agentFinding),
    ...slowFindings(vitals),
    ...groups(vitals.deadJobs, ({ job_type, reason }) => `${job_type}:${reason}`).map(([key, jobs]) => deadFinding(key, jobs)),
    ...groups(vitals.deadLetters, ({ agent_id, reason }) => `${agent_id}:${reason}`).map(([key, letters]) => letterFinding(key, letters)),
    ...groups(vitals.unclearTrades, ({ executed_by }) => executed_by ?? 'nobody').map(([agent, trades]) => unclearFinding(agent, trades)),
    ...urgentFinding(vitals.pipeline.filter(({ urgency }) => urgency === 'urgent')),
  ]
}

const configFinding: Finding = {
  key: 'config_invalid',
  kind: 'config_invalid',
  count: 1,
  text: 'system_config lacks a value that guards money, or has one that makes no sense: nothing is traded',
  next: 'set trading_enabled (true or false), max_daily_exposure and max_position_size (USD)',
}

function agentFinding({
  agent_id: id,
  status,
  blocked_reason: reason,
  minutes_since_heartbeat: minutes,
  health_status,
}: AgentRow): Finding[] {
  const next = `troupe why ${id}`
  if (status === 'offline') return []
  if (health_status === 'stale') {
    if (minutes > forgotten) return []
    const text = `${id} (${status}) has not been heard of for ${Math.round(minutes)} minutes`
    return [{ key: `agent_stale:${id}`, kind: 'agent_stale', count: 1, text, next: `${next}; or start its process again` }]
  }
  if (status === 'blocked')
    return [
      { key: `agent_blocked:${id}`, kind: 'agent_blocked', count: 1, text: `${id} is blocked: ${reason ?? 'it does not say why'}`, next },
    ]
  if (status !== 'error') return []
  return [
    {
      key: `agent_error:${id}`,
      kind: 'agent_error',
      count: 1,
      text: `${id} is in error: ${reason ?? 'it restarts, or is in quarantine'}`,
      next,
    },
  ]
}

function slowFindings({ slowJobs, agents }: Vitals): Finding[] {
  const waiting = slowJobs.filter(({ status }) => status === 'pending')
  const running = slowJobs.filter(({ status }) => status !== 'pending')
  const unable = agents.filter(({ status, health_status }) => status === 'blocked' || status === 'error' || health_status === 'stale')
  return [
    ...groups(waiting, ({ job_type }) => job_type).map(([type, jobs]): Finding => {
      const text = `${jobs.length} jobs ${type} wait for longer than they should`
      const next = unable.length > 0 ? `see to ${names(unable.map(({ agent_id }) => agent_id))}` : `start an agent that takes ${type}`
      return { key: `jobs_waiting:${type}`, kind: 'jobs_waiting', count: jobs.length, text, next }
    }),
    ...groups(running, ({ assigned_to }) => assigned_to ?? 'nobody').map(([agent, jobs]): Finding => {
      const until = Math.max(...jobs.map(({ lease_expires_at: at }) => at ?? 0))
      const types = names([...new Set(jobs.map(({ job_type }) => job_type))])
      const text = `${agent} works on ${jobs.length} jobs (${types}) for longer than it should`
      const next = `they go back to the queue when it no longer renews them, at ${new Date(until).toISOString()} if it is dead`
      return { key: `jobs_stuck:${agent}`, kind: 'jobs_stuck', count: jobs.length, text, next }
    }),
  ]
}

function deadFinding(key: string, jobs: Vitals['deadJobs']): Finding {
  const [first] = jobs
  const text = `${jobs.length} jobs ${first?.job_type} died today: ${first?.reason ?? 'failed'}${first?.error ? `, ${first.error.slice(0, 200)}` : ''}`
  return {
    key: `jobs_dead:${key}`,
    kind: 'jobs_dead',
    count: jobs.length,
    text,
    next: 'troupe jobs list --status failed; troupe jobs retry <id>',
  }
}

function letterFinding(key: string, letters: Vitals['deadLetters']): Finding {
  const [first] = letters
  const text = `${letters.length} messages to ${first?.agent_id} died today: ${first?.reason ?? 'failed'}, such as ${first?.type ?? 'one without a type'}`
  return {
    key: `messages_dead:${key}`,
    kind: 'messages_dead',
    count: letters.length,
    text,
    next: 'troupe dead list; troupe dead replay <id>',
  }
}

/** Its money counts as spent until somebody knows. */
function unclearFinding(agent: string, trades: Vitals['unclearTrades']): Finding {
  const [first] = trades
  const text = `${trades.length} orders of ${agent} were sent and nobody knows what became of them, such as $${first?.amount} in market ${first?.market_id}`
  const next = `compare with the wallet at the exchange; ${agent} goes on asking, troupe why ${agent} tells whether it can`
  return { key: `trades_unclear:${agent}`, kind: 'trades_unclear', count: trades.length, text, next }
}

function urgentFinding(urgent: Vitals['pipeline']): Finding[] {
  const [first] = urgent
  if (first === undefined) return []
  const text = `${urgent.length} opportunities expire within the hour and nobody has decided, such as "${(first.market_question ?? first.market_id).slice(0, 100)}"`
  return [
    {
      key: 'opportunities_urgent',
      kind: 'opportunities_urgent',
      count: urgent.length,
      text,
      next: 'see that a trader is up and not blocked',
    },
  ]
}

function groups<Item>(items: readonly Item[], keyOf: (item: Item) => string): [string, Item[]][] {
  const grouped = new Map<string, Item[]>()
  for (const item of items) grouped.set(keyOf(item), [...(grouped.get(keyOf(item)) ?? []), item])
  return [...grouped]
}

function names(all: readonly string[]): string {
  const shown = all.slice(0, 5).join(', ')
  return all.length > 5 ? `${shown} and ${all.length - 5} more` : shown
}
