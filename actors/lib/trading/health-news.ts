import type { AgentRow, Finding } from './health.ts'

/** What is known of a finding that is still there. */
export interface OpenFinding {
  /** Ms since 1970. */
  readonly since: number
  /** How many there were when somebody was told. */
  readonly told: number
  readonly isEscalated: boolean
}

export type OpenFindings = Readonly<Record<string, OpenFinding>>

/** What somebody is to be told. */
export interface Alert extends Finding {
  readonly news: 'new' | 'grown' | 'escalated'
}

export interface News {
  readonly open: OpenFindings
  readonly alerts: readonly Alert[]
  /** Keys of what is over. */
  readonly over: readonly string[]
}

/**
 * Compares two health checks. A finding is told once, again when there is twice as much of it, and once more, as urgent, when it is still there after
 * `escalateAfter` ms.
 */
export function newsOf(
  before: OpenFindings,
  findings: readonly Finding[],
  { now, escalateAfter }: { now: number; escalateAfter: number },
): News {
  const judged = findings.map((finding) => ({ finding, ...judge(before[finding.key], finding, now, escalateAfter) }))
  const found = new Set(findings.map(({ key }) => key))
  return {
    open: Object.fromEntries(judged.map(({ finding, next }) => [finding.key, next])),
    alerts: judged.flatMap(({ finding, news }) => (news === undefined ? [] : [{ ...finding, news }])),
    over: Object.keys(before).filter((key) => !found.has(key)),
  }
}

function judge(
  known: OpenFinding | undefined,
  { count }: Finding,
  now: number,
  escalateAfter: number,
): { next: OpenFinding; news?: Alert['news'] } {
  if (known === undefined) return { next: { since: now, told: count, isEscalated: false }, news: 'new' }
  if (!known.isEscalated && now - known.since >= escalateAfter)
    return { next: { ...known, told: count, isEscalated: true }, news: 'escalated' }
  if (count >= 2 * known.told) return { next: { ...known, told: count }, news: 'grown' }
  return { next: known }
}

/**
 * Whether this coordinator speaks for the team: the one that system_config names; while that one is not there, the first of those that are. Two that
 * both think so tell the same thing twice; none would tell nobody.
 */
export function isInCharge(self: string, named: string, agents: readonly AgentRow[]): boolean {
  if (self === named) return true
  const alive = agents.filter(({ agent_type, status, health_status }) => {
    return agent_type === 'coordinator' && status !== 'offline' && status !== 'error' && health_status !== 'stale'
  })
  const ids = alive.map(({ agent_id }) => agent_id)
  if (ids.includes(named)) return false
  return [...ids, self].toSorted()[0] === self
}
