import { expect, test } from 'vitest'
import { type AgentRow, type Finding, findingsOf, type Vitals } from '../../../actors/lib/trading/health.ts'
import { isInCharge, newsOf, type OpenFindings } from '../../../actors/lib/trading/health-news.ts'

const agent = (agent_id: string, changes: Partial<AgentRow> = {}): AgentRow => ({
  ...{ agent_id, agent_type: 'trader', status: 'idle', blocked_reason: null, minutes_since_heartbeat: 0.1, health_status: 'healthy' },
  ...changes,
})
const well: Vitals = {
  agents: [agent('t-1')],
  slowJobs: [],
  deadJobs: [],
  deadLetters: [],
  pipeline: [],
  unclearTrades: [],
  isConfigFine: true,
}
const keysOf = (vitals: Partial<Vitals>) => findingsOf({ ...well, ...vitals }).map(({ key }) => key)

test('a team that is well has no findings', () => {
  expect(
    keysOf({ agents: [agent('a'), agent('b', { status: 'offline', health_status: 'stale' }), agent('c', { status: 'working' })] }),
  ).toEqual([])
})

test('finds agents that are silent, blocked or in error, but not those of long ago', () => {
  const stale = { health_status: 'stale', minutes_since_heartbeat: 6 } as const
  const agents = [
    agent('py-1', { ...stale, status: 'working' }),
    agent('py-old', { ...stale, minutes_since_heartbeat: 3_000 }),
    agent('researcher-main', { status: 'blocked', blocked_reason: 'no key for models' }),
    agent('scanner-main', { status: 'error' }),
  ]
  const found = findingsOf({ ...well, agents })
  expect(found.map(({ text }) => text)).toEqual([
    'py-1 (working) has not been heard of for 6 minutes',
    'researcher-main is blocked: no key for models',
    'scanner-main is in error: it restarts, or is in quarantine',
  ])
})

test('counts jobs by what there is to do about them', () => {
  const job = { job_type: 'execute_trade', status: 'pending', assigned_to: null, lease_expires_at: null }
  const lease_expires_at = Date.UTC(2026, 10, 21, 12)
  const slowJobs = [job, job, { ...job, job_type: 'report' }, { ...job, status: 'in_progress', assigned_to: 'py-1', lease_expires_at }]
  const deadJobs = Array(3).fill({ job_type: 'deep_research', reason: 'attempts_exhausted', error: 'MODEL_FAILED: away' })
  const deadLetters = [{ agent_id: 'trader-1', type: 'positions', reason: 'expired' }]
  const pipeline = [
    { market_question: 'Rain?', market_id: '1', urgency: 'urgent' },
    { market_question: 'Snow?', market_id: '2', urgency: 'soon' },
  ]
  const unclearTrades = [{ market_id: '603', amount: 25, executed_by: 'trader-1' }]
  const found = findingsOf({ ...well, slowJobs, deadJobs, deadLetters, pipeline, unclearTrades, isConfigFine: false })
  expect(found.map(({ key, count }) => `${key} ${count}`)).toEqual([
    'config_invalid 1',
    'jobs_waiting:execute_trade 2',
    'jobs_waiting:report 1',
    'jobs_stuck:py-1 1',
    'jobs_dead:deep_research:attempts_exhausted 3',
    'messages_dead:trader-1:expired 1',
    'trades_unclear:trader-1 1',
    'opportunities_urgent 1',
  ])
  expect(found[3]?.next).toContain('2026-11-21T12:00:00.000Z')
})

test('rows of strangers make no endless findings', () => {
  const agents = Array.from({ length: 1_000 }, (_, at) =>
    agent(`${at}${'x'.repeat(5_000)}`, { status: 'blocked', blocked_reason: '\u001b[2J'.repeat(9_999) }),
  )
  expect(JSON.stringify(findingsOf({ ...well, agents })).length).toBeLessThan(1_000_000)
})

test('a finding is told once, when it doubles, and once more when it stays', () => {
  const found = (count: number): Finding => ({ key: 'k', kind: 'jobs_dead', count, text: '', next: '' })
  let open: OpenFindings = {}
  const told = [
    [0, 1],
    [1, 1],
    [2, 2],
    [3, 3],
    [10, 3],
    [11, 3],
    [12, 6],
    [13, 0],
    [14, 1],
  ].map(([now = 0, count = 0]) => {
    const news = newsOf(open, count > 0 ? [found(count)] : [], { now, escalateAfter: 10 })
    open = news.open
    return news.alerts[0]?.news ?? (news.over.length > 0 ? 'over' : '-')
  })
  expect(told).toEqual(['new', '-', 'grown', '-', 'escalated', '-', 'grown', 'over', 'new'])
})

test('one coordinator speaks: the named one, else the first that is up', () => {
  const up = (id: string, changes: Partial<AgentRow> = {}) => agent(id, { agent_type: 'coordinator', ...changes })
  const rows = [up('coordinator-main'), up('coordinator-2'), up('coordinator-3')]
  const gone = [up('coordinator-main', { health_status: 'stale' }), ...rows.slice(1)]
  const speakers = (agents: readonly AgentRow[], named = 'coordinator-main') =>
    rows.map(({ agent_id }) => agent_id).filter((id) => isInCharge(id, named, agents))
  expect([speakers(rows), speakers(gone.slice(0, 3)), speakers(rows, 'coordinator-3'), speakers([], 'nobody')]).toEqual([
    ['coordinator-main'],
    ['coordinator-main', 'coordinator-2'], // the named one cannot know that its heartbeats do not arrive
    ['coordinator-3'],
    ['coordinator-main', 'coordinator-2', 'coordinator-3'],
  ])
})
