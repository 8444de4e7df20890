import { afterAll, beforeAll, expect, test } from 'vitest'
import { dayOf } from '../../../actors/lib/trading/performance.ts'
import { type Ground, openGround } from '../../runtime/team.ts'
import { tradingTeam } from './ground.ts'

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
})
afterAll(() => ground?.[Symbol.asyncDispose]())

type Checked = {
  readonly isSpeaker: boolean
  readonly findings: readonly { readonly key: string }[]
  readonly alerts: number
  readonly over: readonly string[]
}
type Job = Parameters<Ground['store']['call']>[1]

const jobs = (...p_batch: readonly object[]) => ground.store.call('create_jobs', { p_batch } as Job as never)
const alerts = async (subject: string) => {
  const rows = await ground.store.read('agent_messages', { subject }, { order: [{ by: 'created_at' }] })
  return rows.map(({ message_type, from_agent, to_agent, priority, content }) => ({
    message_type,
    from_agent,
    to_agent,
    priority,
    text: content,
  }))
}

test('finds what is wrong, tells it once, and says when it is over', async () => {
  const [waits] = await jobs({ job_type: 'report' })
  const [dies] = await jobs({ job_type: 'deep_research', payload: { market_id: 'x' }, max_attempts: 1 })
  await ground.backend.query(`insert into trade_executions (market_id, side, amount, status, stage, executed_by)
    values ('603', 'YES', 25, 'pending', 'unknown', 'trader-7')`)
  const agents = [
    { id: 'coordinator-main', type: 'coordinator', args: { stuckAfter: 0, interval: 600_000 } },
    { id: 'researcher-main', type: 'researcher', args: { market: 'simulated:1' } },
  ]
  await using team = tradingTeam(ground, agents)
  await team.start()
  const isDead = async () => (await ground.store.read('v_dead_jobs', { id: dies?.job_id ?? '' })).length
  await expect.poll(isDead).toBe(1)
  // The first check of all may have seen less.
  const first = (await team.ask('coordinator-main', 'check')) as Checked
  expect([first.isSpeaker, first.findings.map(({ key }) => key).toSorted()]).toEqual([
    true,
    ['jobs_dead:deep_research:fatal', 'jobs_waiting:report', 'trades_unclear:trader-7'],
  ])
  const told = await alerts('Health Check')
  expect(told[0]).toMatchObject({ message_type: 'alert', from_agent: 'coordinator-main', to_agent: null, priority: 'high' })
  expect(told.map(({ text }) => text).join('; ')).toContain('1 jobs report wait for longer than they should')
  expect(told.map(({ text }) => text).join('; ')).toContain('1 jobs deep_research died today: fatal, BODY_INVALID')

  await ground.store.call('cancel_jobs', { p_batch: [{ job_id: waits?.job_id ?? '' }] })
  await ground.backend.query(`delete from trade_executions where executed_by = 'trader-7'`)
  const second = (await team.ask('coordinator-main', 'check')) as Checked
  expect([second.alerts, second.over]).toEqual([0, ['jobs_waiting:report', 'trades_unclear:trader-7']])
  expect((await alerts('Health Check')).length).toBe(told.length)
  expect(team.list().find(({ id }) => id === 'coordinator-main')?.says).toContain('jobs deep_research died today')
})

test('writes agent_performance, answers with a day, and ends what has run out', async () => {
  const { store } = ground
  const opportunity = {
    market_id: '9',
    side: 'YES',
    current_price: 0.4,
    confidence: 0.9,
    edge: 0.2,
    discovered_by: 'c',
    discovery_method: 'test',
  }
  await store.call('publish_opportunity', { p_args: { opportunity: { ...opportunity, expires_in_ms: 0 }, job: null } } as never)
  await using team = tradingTeam(ground, [
    { id: 'coordinator-main', type: 'coordinator', args: { interval: 600_000 } },
    { id: 'researcher-main', type: 'researcher', args: { market: 'simulated:1' } },
  ])
  await team.start()
  const [job] = await jobs({ job_type: 'deep_research', payload: { market_id: '900000' } })
  await expect.poll(async () => (await store.read('agent_jobs', { id: job?.job_id ?? '' }))[0]?.status).toBe('completed')
  await team.ask('coordinator-main', 'check')
  expect(await store.read('agent_performance', { agent_id: 'researcher-main', period: 'daily' })).toMatchObject([
    { period_start: dayOf(Date.now()), jobs_completed: 1, jobs_failed: 1 },
  ])
  expect(await store.read('trade_opportunities', { market_id: '9' })).toMatchObject([{ status: 'expired' }])
  const summary = await team.ask('coordinator-main', 'summary', { day: dayOf(Date.now()) })
  expect(summary).toMatchObject({
    jobs: { completed: 1, failed: 1 },
    opportunities: { expired: 1 },
    trades: { bought: 0, pnl: 0 },
    exposure: { today: 0, limit: 20 },
    isTradingEnabled: true,
    findings: [expect.stringContaining('died today')],
    text: expect.stringContaining('jobs 1 completed, 1 failed'),
  })
})

test('of two coordinators one speaks, and the other when that one is gone', { timeout: 90_000 }, async () => {
  await ground.backend.query(`update system_config set value = '"c-first"' where key = 'coordinator_agent'`)
  const quiet = { interval: 600_000 }
  const second = { id: 'c-second', type: 'coordinator', args: quiet }
  {
    await using team = tradingTeam(ground, [{ id: 'c-first', type: 'coordinator', args: quiet }, second])
    await team.start()
    const check = async (id: string) => ((await team.ask(id, 'check')) as Checked).isSpeaker
    // Their first heartbeats are on their way.
    await expect.poll(() => Promise.all(['c-first', 'c-second'].map(check)), { timeout: 60_000 }).toEqual([true, false])
  }
  const before = (await alerts('Health Check')).length
  await using alone = tradingTeam(ground, [second])
  await alone.start()
  expect(await alone.ask('c-second', 'check')).toMatchObject({ isSpeaker: true })
  expect((await alerts('Health Check')).slice(before)).toMatchObject([{ from_agent: 'c-second' }])
})

test('the first check of a day closes the books of the day before, and tells how it went', async () => {
  const state = JSON.stringify({ open: {}, day: '2026-01-01' })
  await ground.backend.query(`insert into agent_state (agent_id, version, state, token) values ('c-days', 1, '${state}', 1)`)
  await ground.backend.query(`update system_config set value = '"c-days"' where key = 'coordinator_agent'`)
  await using team = tradingTeam(ground, [{ id: 'c-days', type: 'coordinator', args: { interval: 600_000 } }])
  await team.start()
  await team.ask('c-days', 'check')
  await team.ask('c-days', 'check')
  const yesterday = dayOf(Date.now() - 86_400_000)
  expect(await alerts('Daily Summary')).toMatchObject([{ from_agent: 'c-days', text: expect.stringContaining(`${yesterday}: agents`) }])
})
