import { expect, test } from 'vitest'
import { type DayRows, endedPeriods, endedSince, summaryOf } from '../../../actors/lib/trading/performance.ts'

const at = (time: string) => Date.parse(time)
const rows: DayRows = {
  day: '2026-11-21',
  performance: [
    { agent_id: 'trader-1', jobs_completed: 3, jobs_failed: 1, trades_executed: 2, trades_profitable: 1, total_pnl: 0.5 },
    { agent_id: 'scanner-main', jobs_completed: 1, jobs_failed: 0, trades_executed: 0, trades_profitable: 0, total_pnl: 0 },
  ],
  settled: [{ trades: 3, winners: 2, losers: 1, total_pnl: 0.1 + 0.2 }],
  opportunities: [{ status: 'approved' }, { status: 'rejected' }, { status: 'rejected' }],
  executions: [
    { status: 'executed', amount: 2, created_at: at('2026-11-21T01:00:00Z') },
    { status: 'settled', amount: 1.1, created_at: at('2026-11-21T02:00:00Z') },
    { status: 'pending', amount: 0.5, created_at: at('2026-11-21T03:00:00Z') },
    { status: 'failed', amount: 9, created_at: at('2026-11-21T03:00:00Z') },
    { status: 'executed', amount: 4, created_at: at('2026-11-20T23:59:59Z') },
  ],
  agents: [
    { agent_id: 'a', agent_type: 'trader', status: 'idle', blocked_reason: null, minutes_since_heartbeat: 0, health_status: 'healthy' },
    { agent_id: 'b', agent_type: 'trader', status: 'working', blocked_reason: null, minutes_since_heartbeat: 9, health_status: 'stale' },
  ],
  findings: [],
  limits: { maxDailyExposure: 20, tradingEnabled: true },
}

test('a day adds up: what was committed that day, what is open from before, what was won', () => {
  expect(summaryOf(rows)).toEqual({
    day: '2026-11-21',
    agents: { idle: 1, stale: 1 },
    jobs: { completed: 4, failed: 1 },
    opportunities: { approved: 1, rejected: 2 },
    trades: { bought: 2, open: 3, settled: 3, winners: 2, losers: 1, pnl: 0.3 },
    exposure: { today: 3.6, limit: 20 },
    isTradingEnabled: true,
    findings: [],
    text: [
      '2026-11-21: agents 1 idle, 1 stale; jobs 4 completed, 1 failed',
      'opportunities 1 approved, 2 rejected; trades 2 bought, 3 open, 3 settled (2 won, 1 lost), P&L 0.3 USD',
      'committed 3.6 USD of 20',
      'nothing is wrong',
    ].join('\n'),
  })
})

test('a day closes its week and its month', () => {
  const ended = (today: string) => endedPeriods(today).map(({ period, day }) => `${period} ${day}`)
  expect([ended('2026-11-21'), ended('2026-11-23'), ended('2027-03-01')]).toEqual([
    ['daily 2026-11-20'],
    ['daily 2026-11-22', 'weekly 2026-11-22'],
    ['daily 2027-02-28', 'weekly 2027-02-28', 'monthly 2027-02-28'],
  ])
})

test('after a pause every day of it is closed, and no more than two months of them', () => {
  const ended = (last: string | null) => endedSince(last, '2026-11-24').map(({ period, day }) => `${period} ${day}`)
  expect(ended('2026-11-22')).toEqual(['daily 2026-11-22', 'weekly 2026-11-22', 'daily 2026-11-23'])
  expect([ended('2026-11-23'), ended(null)]).toEqual([['daily 2026-11-23'], ['daily 2026-11-23']])
  expect(ended('2020-01-01').filter((one) => one.startsWith('daily'))).toHaveLength(62)
})
