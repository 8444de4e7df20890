import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { whileHeld } from './locks.ts'
import { call, failure, insert, tradingRows, update } from './rest.ts'

let db: Database
let sql: Client // as the agents connect
beforeAll(async () => {
  db = await freshDatabase({ max: 2 })
  sql = db.connect({ role: 'service_role', max: 1 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  await sql`reset troupe.clock_offset`
  await configure({ trading_enabled: true, max_daily_exposure: 20, max_position_size: 5 })
  for (const table of ['trade_executions', 'trade_opportunities', 'agent_status', 'agent_jobs', 'agent_messages']) {
    await db.sql`delete from ${db.sql(`public.${table}`)}`
  }
})

async function configure(values: Record<string, unknown>) {
  for (const [key, value] of Object.entries(values)) await insert(sql, 'system_config', { key, value }, { onConflict: 'key' })
}

const sample = {
  market_id: 'm1',
  market_question: 'Rain tomorrow?',
  side: 'YES',
  current_price: 0.4,
  target_price: 0.6,
  suggested_position: 5,
  confidence: 0.85,
  edge: 0.2,
  research_summary: 'clouds',
  discovered_by: 'scanner-1',
  discovery_method: 'hedge_scan',
  expires_in_ms: 21_600_000,
}
const reservation = () => ({ idempotency_key: randomUUID(), market_id: 'm1', side: 'YES', amount: 5 })

describe('publish_opportunity', () => {
  test('writes the opportunity, its job and the broadcast; the same id again is a repeat', async () => {
    const id = randomUUID()
    const published = await call(sql, 'publish_opportunity', { opportunity: { id, ...sample } })
    expect(published).toEqual({ verdict: 'ok', opportunity_id: id, job_id: expect.any(String) })
    const rows = await tradingRows(sql)
    expect(rows).toMatchObject({
      opportunities: [{ id, status: 'pending', platform: 'polymarket', confidence: 0.85, market_question: 'Rain tomorrow?' }],
      jobs: [
        {
          id: published.job_id,
          job_type: 'execute_trade',
          priority: 3,
          created_by: 'scanner-1',
          payload: { opportunity_id: id, market_id: 'm1', side: 'YES', amount: 5, confidence: 0.85 },
        },
      ],
      messages: [{ subject: 'New Trade Opportunity', from_agent: 'scanner-1', to_agent: null, priority: 'high', message_type: 'alert' }],
    })
    expect(await call(sql, 'publish_opportunity', { opportunity: { id, ...sample } })).toEqual({ verdict: 'repeat', opportunity_id: id })
    expect(await tradingRows(sql)).toEqual(rows)
  })

  test('urgent below an hour, priority 5 without much confidence, without a job or broadcast where asked', async () => {
    const soon = { ...sample, expires_in_ms: 3_599_000, confidence: 0.8, details: null }
    await call(sql, 'publish_opportunity', { opportunity: soon, job: { job_type: 'review_trade', payload: { extra: 1 } } })
    await call(sql, 'publish_opportunity', { opportunity: sample, job: null, broadcast: false })
    expect(await tradingRows(sql)).toMatchObject({
      opportunities: [{}, {}],
      jobs: [{ job_type: 'review_trade', priority: 5, payload: { extra: 1, side: 'YES' } }],
      messages: [{ priority: 'urgent' }],
    })
  })

  test('a live dedupe key is a duplicate of it, for any number of publishers; after the end the key is free', async () => {
    const publishers = db.connect({ role: 'service_role', max: 8 })
    const opportunity = { ...sample, dedupe_key: 'm1:YES' }
    const answers = await Promise.all(Array.from({ length: 24 }, () => call(publishers, 'publish_opportunity', { opportunity })))
    const first = answers.find(({ verdict }) => verdict === 'ok')
    expect(answers.filter(({ verdict }) => verdict === 'ok')).toHaveLength(1)
    expect(answers.filter((answer) => answer !== first)).toEqual(
      Array.from({ length: 23 }, () => ({ verdict: 'duplicate', opportunity_id: first?.opportunity_id })),
    )
    expect(await tradingRows(sql)).toMatchObject({ opportunities: [{}], jobs: [{}], messages: [{}] })
    await call(sql, 'review_opportunity', { id: first?.opportunity_id, decision: 'rejected', reviewed_by: 'trader-1', reason: 'no edge' })
    expect(await call(sql, 'publish_opportunity', { opportunity })).toMatchObject({ verdict: 'ok' })
  })

  test.each([
    [{ market_id: null }, '23502'],
    [{ side: null }, '23502'],
    [{ side: 'MAYBE' }, '23514'],
    [{ current_price: -5 }, '23514'],
    [{ current_price: 'NaN' }, '23514'],
    [{ target_price: 1.5 }, '23514'],
    [{ confidence: 9 }, '23514'],
    [{ confidence: 'NaN' }, '23514'],
    [{ edge: 'Infinity' }, '23514'],
    [{ suggested_position: 0 }, '23514'],
    [{ suggested_position: 'NaN' }, '23514'],
    [{ suggested_position: 1e300 }, '23514'],
    [{ current_price: 'cheap' }, '22P02'],
    [{ id: 'seven' }, '22P02'],
    [{ details: [1] }, '23514'],
    [{ expires_in_ms: 1e300 }, '22008'],
  ])('refuses %o and changes nothing', async (wrong, code) => {
    const before = await tradingRows(sql)
    const error = await failure(call(sql, 'publish_opportunity', { opportunity: { ...sample, ...wrong } }))
    expect(error).toMatchObject({
      code,
      message: expect.stringMatching(/market_id|side|price|confidence|edge|position|numeric|uuid|details|timestamp/),
    })
    expect(await tradingRows(sql)).toEqual(before)
  })
})

describe('review_opportunity and expire_opportunities', () => {
  async function pending(changes = {}): Promise<string> {
    const { opportunity_id } = await call(sql, 'publish_opportunity', {
      opportunity: { ...sample, ...changes },
      job: null,
      broadcast: false,
    })
    return String(opportunity_id)
  }

  test('decides once: ok, repeat, stale, not found', async () => {
    const id = await pending()
    const approve = { id, decision: 'approved', reviewed_by: 'trader-1', reason: 'edge holds' }
    const review = (args: object) => call(sql, 'review_opportunity', args)
    expect([
      await review(approve),
      await review(approve),
      await review({ ...approve, reviewed_by: 'trader-2' }),
      await review({ ...approve, decision: 'rejected' }),
      await review({ ...approve, id: randomUUID() }),
      await review({ decision: 'rejected' }),
    ]).toEqual([
      { verdict: 'ok' },
      { verdict: 'repeat' },
      { verdict: 'stale', status: 'approved' },
      { verdict: 'stale', status: 'approved' },
      { verdict: 'not_found' },
      { verdict: 'not_found' },
    ])
    expect(await tradingRows(sql)).toMatchObject({
      opportunities: [{ status: 'approved', reviewed_by: 'trader-1', review_reason: 'edge holds', reviewed_at: expect.any(String) }],
    })
    expect(await failure(review({ id, decision: 'maybe' }))).toMatchObject({ code: 'PT400' })
    expect(await failure(review({ id }))).toMatchObject({ code: 'PT400' })
  })

  test('of twelve traders that decide at once the first is right', async () => {
    const id = await pending()
    const traders = db.connect({ role: 'service_role', max: 12 })
    const decide = (client: Client, decision: string) => call(client, 'review_opportunity', { id, decision, reviewed_by: 'trader-1' })
    const late = await whileHeld(
      db.sql,
      (transaction) => decide(transaction, 'rejected'),
      Array.from({ length: 11 }, (_, n) => () => decide(traders, n === 0 ? 'rejected' : 'approved')),
    )
    expect(late).toEqual([{ verdict: 'repeat' }, ...Array.from({ length: 10 }, () => ({ verdict: 'stale', status: 'rejected' }))])
    expect(await sql`select status from public.trade_opportunities`).toEqual([{ status: 'rejected' }])
  })

  test('nothing is approved after its time; the sweep expires what is over, and no more than asked', async () => {
    const late = await pending({ expires_in_ms: 60_000 })
    await pending({ expires_in_ms: 61_000 })
    const open = await pending({ expires_in_ms: null })
    await sql`set troupe.clock_offset = '1 hour'`
    const decide = (decision: string) => call(sql, 'review_opportunity', { id: late, decision, reviewed_by: 'trader-1' })
    expect(await decide('approved')).toEqual({ verdict: 'expired' })
    const expire = (args?: object) => call(sql, 'expire_opportunities', args ?? {})
    expect([await expire({ limit: 1 }), await expire({ limit: -1 }), await expire()]).toEqual([
      { expired: 1 },
      { expired: 1 },
      { expired: 0 },
    ])
    expect(await decide('rejected')).toEqual({ verdict: 'stale', status: 'expired' })
    expect(await sql`select id from public.trade_opportunities where status = 'pending'`).toEqual([{ id: open }])
  })
})

describe('reserve_execution', () => {
  const reserve = (args: object = {}) => call(sql, 'reserve_execution', { ...reservation(), ...args })

  test('gives ok, repeat, and each refusal with its reason and numbers', async () => {
    const key = randomUUID()
    const { opportunity_id } = await call(sql, 'publish_opportunity', { opportunity: sample, job: null })
    const first = await reserve({
      idempotency_key: key,
      opportunity_id,
      amount: 3,
      executed_by: 'trader-1',
      entry_price: 0.4,
      details: null,
    })
    expect(first).toEqual({ verdict: 'ok', execution_id: expect.any(String) })
    await configure({ trading_enabled: false })
    expect(await reserve({ idempotency_key: key })).toEqual({ ...first, verdict: 'repeat', stage: 'reserved', status: 'pending' })
    expect(await reserve()).toEqual({ verdict: 'refused', reason: 'trading_disabled' })
    await configure({ trading_enabled: true })
    expect(await reserve({ opportunity_id, market_id: 'm2' })).toEqual({ verdict: 'refused', reason: 'already_executed' })
    expect(await reserve({ amount: 2.01 })).toEqual({ verdict: 'refused', reason: 'max_position_size', used: 3, limit: 5 })
    for (const market_id of ['m2', 'm3', 'm4']) expect(await reserve({ market_id })).toMatchObject({ verdict: 'ok' })
    expect(await reserve({ market_id: 'm5', amount: 2.01 })).toEqual({
      verdict: 'refused',
      reason: 'max_daily_exposure',
      used: 18,
      limit: 20,
    })
    expect(await reserve({ market_id: 'm5', amount: 2 })).toMatchObject({ verdict: 'ok' })
    await db.sql`delete from public.system_config where key = 'max_position_size'`
    expect(await reserve()).toEqual({ verdict: 'refused', reason: 'config_missing' })
  })

  test('released exposure can be used again, by the same opportunity too', async () => {
    const { opportunity_id } = await call(sql, 'publish_opportunity', { opportunity: sample, job: null })
    const first = await reserve({ opportunity_id })
    expect(await reserve()).toMatchObject({ reason: 'max_position_size' })
    expect(await call(sql, 'release_execution', { id: first.execution_id, reason: 'price moved' })).toEqual({ verdict: 'ok' })
    expect(await reserve({ opportunity_id })).toMatchObject({ verdict: 'ok' })
  })

  test('what a trade really took is all that stays committed', async () => {
    const first = await reserve()
    await call(sql, 'record_execution', { id: first.execution_id, stage: 'filled', amount: 4.5, entry_price: 0.4 })
    expect([await reserve({ amount: 0.51 }), await reserve({ amount: 0.5 })]).toMatchObject([
      { reason: 'max_position_size', used: 4.5 },
      { verdict: 'ok' },
    ])
  })

  test('the day ends at midnight UTC by the server’s clock, positions stay open', async () => {
    await sql`set time zone 'Asia/Tokyo'`
    await atClock('23:59:59')
    for (const market_id of ['m1', 'm2', 'm3', 'm4']) await reserve({ market_id })
    expect(await reserve({ market_id: 'm5', amount: 0.01 })).toMatchObject({ reason: 'max_daily_exposure', used: 20 })
    await atClock('24:00:01')
    expect(await reserve({ market_id: 'm5' })).toMatchObject({ verdict: 'ok' })
    expect(await reserve({ market_id: 'm1', amount: 0.01 })).toMatchObject({ reason: 'max_position_size' })
    await sql`reset time zone`
  })

  /** Moves the session's clock to a time of the present UTC day. */
  async function atClock(time: string) {
    await sql`select set_config('troupe.clock_offset', (date_trunc('day', now(), 'UTC') + ${time}::interval - clock_timestamp())::text, false)`
  }

  test('executions that original agents insert are staged and count', async () => {
    const foreign = { market_id: 'm1', side: 'YES', amount: 2, entry_price: 0.4, executed_by: 'py-trader' }
    const rows = [
      await insert(sql, 'trade_executions', { ...foreign, status: 'executed', tx_hash: '0x1', executed_at: new Date().toISOString() }),
      await insert(sql, 'trade_executions', { ...foreign, status: 'pending', tx_hash: null }),
      await insert(sql, 'trade_executions', { ...foreign, status: 'failed' }),
      await insert(sql, 'trade_executions', { ...foreign, market_id: 'm2', status: 'settled', pnl: 1 }),
    ]
    expect(rows.map(({ stage }) => stage)).toEqual(['filled', 'ordered', 'closed', 'closed'])
    expect(await reserve({ amount: 1.01 })).toEqual({ verdict: 'refused', reason: 'max_position_size', used: 4, limit: 5 })
    await configure({ max_daily_exposure: 7 })
    expect(await reserve({ market_id: 'm9', amount: 1.01 })).toEqual({
      verdict: 'refused',
      reason: 'max_daily_exposure',
      used: 6,
      limit: 7,
    })
    const id = String(rows[1]?.id)
    expect(await update(sql, 'trade_executions', ['id', id], { status: 'executed', tx_hash: '0x2' })).toMatchObject([{ stage: 'filled' }])
    expect(await update(sql, 'trade_executions', ['id', id], { status: 'settled', pnl: 0.5 })).toMatchObject([
      { stage: 'closed', settled_at: expect.any(Date) },
    ])
    expect(await reserve({ amount: 1 })).toMatchObject({ verdict: 'ok' })
  })

  test.each([
    [{ idempotency_key: null }, 'PT400'],
    [{ idempotency_key: '' }, 'PT400'],
    [{ amount: null }, 'PT400'],
    [{ amount: 0 }, 'PT400'],
    [{ amount: -1 }, 'PT400'],
    [{ amount: 'NaN' }, 'PT400'],
    [{ amount: 'Infinity' }, 'PT400'],
    [{ amount: '-Infinity' }, 'PT400'],
    [{ amount: 1e12 }, 'PT400'],
    [{ amount: 'much' }, '22P02'],
    [{ market_id: null }, '23502'],
    [{ side: null }, '23502'],
    [{ side: 'yes' }, '23514'],
    [{ entry_price: 1.01 }, '23514'],
    [{ entry_price: -0.01 }, '23514'],
    [{ entry_price: 'NaN' }, '23514'],
    [{ opportunity_id: randomUUID() }, '23503'],
    [{ job_id: randomUUID() }, '23503'],
    [{ details: 'text' }, '23514'],
  ])('refuses %o and changes nothing', async (wrong, code) => {
    const before = await tradingRows(sql)
    expect(await failure(reserve(wrong))).toMatchObject({ code, message: expect.stringMatching(/.{20}/) })
    expect(await tradingRows(sql)).toEqual(before)
  })

  test.each([
    ['trading_enabled', '"yes"'],
    ['trading_enabled', 'null'],
    ['max_daily_exposure', '"20"'],
    ['max_daily_exposure', '-1'],
    ['max_position_size', '"NaN"'],
    ['risk_mode', '"reckless"'],
    ['coordinator_agent', '7'],
  ])('%s cannot become %s', async (key, value) => {
    expect(await failure(db.sql`update public.system_config set value = ${value}::text::jsonb where key = ${key}`)).toMatchObject({
      code: '23514',
    })
  })

  test('a transaction whose snapshot is older than its wait is refused', async () => {
    const work = sql.begin('isolation level repeatable read', (transaction) =>
      call(transaction as unknown as Client, 'reserve_execution', reservation()),
    )
    expect(await failure(work)).toMatchObject({ code: 'PT409', message: expect.stringContaining('repeatable read') })
  })

  test('a new setting announces itself too', async () => {
    await insert(sql, 'system_config', { key: 'max_drawdown', value: 0.2 })
    expect(await sql`select from_agent, payload from public.agent_messages`).toEqual([
      { from_agent: 'system_config', payload: { key: 'max_drawdown', value: 0.2, previous: null } },
    ])
    await db.sql`delete from public.system_config where key = 'max_drawdown'`
  })

  test('a changed setting announces itself, once, with both values', async () => {
    await db.sql`update public.system_config set value = '7', updated_by = 'ada' where key = 'max_daily_exposure'`
    await db.sql`update public.system_config set value = '7', description = 'same' where key = 'max_daily_exposure'`
    expect(
      await sql`select from_agent, to_agent, message_type, subject, content, priority, payload from public.agent_messages order by created_at`,
    ).toEqual([
      {
        from_agent: 'ada',
        to_agent: null,
        message_type: 'alert',
        subject: 'System Config Changed',
        content: 'max_daily_exposure is now 7',
        priority: 'high',
        payload: { key: 'max_daily_exposure', value: 7, previous: 20 },
      },
    ])
  })
})
