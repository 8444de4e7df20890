import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ground, openGround } from '../../runtime/team.ts'
import { opportunities } from '../../soak/trade-feed.ts'
import { tradingTeam } from './ground.ts'

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
})
afterAll(() => ground[Symbol.asyncDispose]())

const rows = async (sql: string) => (await ground.backend.query(sql)).rows
const market = 'simulated:7?interval=0&markets=300'

test('scanner and traders find, buy and give back on simulated markets, under every limit', { timeout: 120_000 }, async () => {
  await using team = tradingTeam(ground, [
    { id: 'scanner-main', type: 'scanner', args: { market, shortList: 300 } },
    { id: 'trader', type: 'trader', replicas: 2, args: { market, markInterval: 300 } },
  ])
  await team.start()
  await team.event('turn:committed', ({ id, type }) => id === 'scanner-main' && type === 'tick')
  const said = await team.ask('scanner-main', 'summary', null)
  expect(said).toMatchObject({ summary: { source: market, isSimulated: true, markets: 300, opportunities: 6, research: 50 } })
  expect(said).toMatchObject({
    text: expect.stringMatching(/^300 simulated markets, best edge \d+\.\d %, 6 opportunities, 50 to research$/),
  })
  const isOver = async () => {
    const [row] = await rows(`select (select count(*) from agent_jobs where job_type = 'execute_trade' and status <> 'completed')::int,
      (select count(*) from trade_executions where status <> 'settled')::int`)
    return row?.every((left) => left === 0)
  }
  while (!(await isOver())) {
    team.forget()
    await team.event('turn:committed', ({ id }) => id.startsWith('trader'))
  }
  expect(await rows("select distinct status || ' ' || exit_reason from trade_executions")).toEqual([['settled merged']])
  const [sums] = await rows('select count(*)::int, sum(amount) <= 20, min(pnl) > 0 from trade_executions')
  expect(sums).toEqual([8, true, true])
  const decisions = await rows(
    "select status, split_part(review_reason, ' ', 1), count(*)::int from trade_opportunities group by 1, 2 order by 1",
  )
  expect(decisions).toEqual([
    ['approved', null, 4],
    ['rejected', 'max_daily_exposure', 2],
  ])
  expect(await team.ask('trader-1', 'positions', null)).toEqual({ positions: [], cost: 0, pnl: 0 })
  expect(await rows("select count(*)::int from agent_deliveries where status = 'dead'")).toEqual([[0]])
})

test('a scan finds nothing new while its opportunities live, and the interval follows system_config', { timeout: 120_000 }, async () => {
  await using team = tradingTeam(ground, [
    { id: 'scanner-two', type: 'scanner', args: { market: 'simulated:8?interval=0&markets=300', shortList: 300 } },
  ])
  await team.start()
  await team.event('turn:committed', ({ id, type }) => id === 'scanner-two' && type === 'tick')
  const first = (await team.ask('scanner-two', 'summary', null)) as { summary: { opportunities: number } }
  expect(first.summary.opportunities).toBeGreaterThan(0)
  expect(await team.ask('scanner-two', 'scan', null)).toMatchObject({ opportunities: 0, research: 0 })
  team.forget()
  await ground.backend.query("update system_config set value = '0.02' where key = 'scanner_interval_minutes'")
  await team.event('turn:committed', ({ id, type }) => id === 'scanner-two' && type === 'tick')
  await ground.backend.query("update system_config set value = '240' where key = 'scanner_interval_minutes'")
})

test('a job that an older agent wrote is looked at like any other, and one without sense is refused', { timeout: 120_000 }, async () => {
  const [[id] = []] =
    await rows(`insert into trade_opportunities (market_id, market_question, side, current_price, suggested_position, confidence, edge,
    discovered_by, discovery_method, expires_at) values ('90001', 'Will it rain?', 'YES', 0.5, 5, 0.75, 0.2, 'py-scanner', 'perplexity_research', now() + interval '6 hours')
    returning id`)
  const job = { opportunity_id: id, market_id: '90001', side: 'YES', amount: 5, confidence: 0.75 }
  await using team = tradingTeam(ground, [{ id: 'trader-three', type: 'trader', args: { market } }])
  const handled: string[] = []
  for (const payload of [job, { ...job, market_id: '1; rm -rf /' }]) {
    const [[one] = []] = await rows(`insert into agent_jobs (job_type, payload, priority, created_by, status)
      values ('execute_trade', '${JSON.stringify(payload)}', 5, 'py-scanner', 'pending') returning id`)
    handled.push(String(one))
  }
  await team.start()
  await team.event('turn:committed', ({ handled: one }) => one === handled[0])
  await team.event('turn:failed', ({ handled: one }) => one === handled[1])
  await team.stop({ grace: 5_000 })
  const [[reason] = []] = await rows(`select review_reason from trade_opportunities where id = '${id}'`)
  expect(reason).toEqual(expect.stringMatching(/^\w+/))
  const ended = await rows(`select status from agent_jobs where id in ('${handled.join("', '")}') order by created_at`)
  expect(ended).toEqual([['completed'], ['failed']])
  expect(await rows(`select count(*)::int from trade_executions where opportunity_id = '${id}'`)).toEqual([[0]])
})

test('what nobody brought to its end is found out: what was sent is asked about, what was only reserved is given back', {
  timeout: 120_000,
}, async () => {
  await rows("update system_config set value = '100' where key = 'max_daily_exposure'")
  const [one, other] = await opportunities(7)
  const begun = [
    ['asked', one, 'unknown', '1 second'],
    ['given back', other, 'reserved', '1 hour'],
  ] as const
  for (const [key, offered, stage, age] of begun) {
    const { leg, orders, source } = orderFor(offered)
    const details = { broker: 'paper', source, strategy: 'model_opinion', probability: 0.5, basket: null, orders, leg: 0 }
    await rows(`insert into trade_executions (market_id, side, amount, status, stage, executed_by, idempotency_key, details, created_at)
      values ('${leg.market_id}', '${leg.side}', 5, 'pending', '${stage}', 'trader-gone', '${key}', '${JSON.stringify(details)}', now() - interval '${age}')`)
  }
  await using team = tradingTeam(ground, [{ id: 'trader-four', type: 'trader', args: { market, markInterval: 200 } }])
  await team.start()
  await team.event('turn:committed', ({ id, type }) => id === 'trader-four' && type === 'mark')
  await team.stop({ grace: 5_000 })
  expect(
    await rows("select idempotency_key, status, stage, error_message from trade_executions where executed_by = 'trader-gone' order by 1"),
  ).toEqual([
    ['asked', 'executed', 'filled', null],
    ['given back', 'failed', 'closed', 'nobody went on with it'],
  ])
})

/** The order for the first leg of an opportunity, as an execution keeps it. */
function orderFor(offered: object | undefined) {
  const { opportunity } = offered as {
    opportunity: {
      details: { source: string; legs: readonly { market_id: string; token: string; side: string; shares: number; limit: number }[] }
    }
  }
  const [leg] = opportunity.details.legs
  if (leg === undefined) throw new Error('an opportunity without a leg')
  const size = { shares: Math.round(leg.shares * 100), limit: Math.round(leg.limit * 10_000), budget: 5_000_000 }
  const fixed = { key: leg.token, at: 1, way: 'buy', negRisk: false, fees: { rate: 50_000, exponent: 1 }, whole: false }
  return {
    leg,
    source: opportunity.details.source,
    orders: [{ ...fixed, marketId: leg.market_id, token: leg.token, side: leg.side, ...size }],
  }
}
