import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
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

const sample = { market_id: 'm1', side: 'YES', current_price: 0.4, confidence: 0.85, edge: 0.2 }
const reservation = () => ({ idempotency_key: randomUUID(), market_id: 'm1', side: 'YES', amount: 5 })

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

  test('counts the markets of one event as one position, whoever reserves', async () => {
    for (const market_id of ['m1', 'm2']) expect(await reserve({ market_id, event_id: 'e', amount: 2 })).toMatchObject({ verdict: 'ok' })
    const refused = await reserve({ market_id: 'm3', event_id: 'e', amount: 1.01 })
    expect(refused).toEqual({ verdict: 'refused', reason: 'max_event_exposure', used: 4, limit: 5 })
    expect(await reserve({ market_id: 'm3', amount: 5 })).toMatchObject({ verdict: 'ok' })
    const used = await call(sql, 'trading_exposure', { market_id: 'm1', event_id: 'e' })
    expect(used).toEqual({ today: 9, market: 2, event: 4, open: 9, pnl: 0 })
  })

  test('tells the money of one platform from that of another, and the limits of all', async () => {
    for (const [market_id, source] of [
      ['m1', undefined],
      ['m2', 'polymarket'],
      ['m3', 'simulated:1?speed=2'],
      ['m4', 'replay:/tmp/a'],
    ]) {
      const details = source === undefined ? null : { broker: 'paper', source }
      const open = await reserve({ market_id, amount: 1, details })
      const { execution_id: id } = await reserve({ market_id, amount: 2, details })
      await call(sql, 'record_execution', { id, stage: 'filled' })
      await call(sql, 'settle_execution', { id, pnl: market_id === 'm3' ? -2 : 0.5 })
      expect(open).toMatchObject({ verdict: 'ok' })
    }
    const of = (args: object) => call(sql, 'trading_exposure', args)
    const all = { today: 12, market: 0, event: 0 }
    expect([
      await of({}),
      await of({ platform: 'polymarket' }),
      await of({ platform: 'simulated' }),
      await of({ platform: 'replay' }),
    ]).toEqual([
      { ...all, open: 4, pnl: -0.5 },
      { ...all, open: 2, pnl: 1 },
      { ...all, open: 1, pnl: -2 },
      { ...all, open: 1, pnl: 0.5 },
    ])
    expect(await of({ platform: 'simulated', broker: 'polyclaw' })).toEqual({ ...all, open: 0, pnl: 0 })
  })

  test('lets the legs of one basket share an opportunity, and nothing else', async () => {
    const { opportunity_id } = await call(sql, 'publish_opportunity', { opportunity: sample, job: null })
    const leg = (args: object) => reserve({ opportunity_id, amount: 1, details: { basket: 'b' }, ...args })
    expect(await leg({ side: 'YES' })).toMatchObject({ verdict: 'ok' })
    expect(await leg({ side: 'NO' })).toMatchObject({ verdict: 'ok' })
    expect(await leg({ details: { basket: 'c' } })).toEqual({ verdict: 'refused', reason: 'already_executed' })
    expect(await leg({ details: {} })).toEqual({ verdict: 'refused', reason: 'already_executed' })
  })

  test('frees the key of an opportunity when the last of its trades has ended', async () => {
    const keyed = { ...sample, dedupe_key: 'market:m1', discovered_by: 'scanner', discovery_method: 'complete_set' }
    const publish = () => call(sql, 'publish_opportunity', { opportunity: keyed, job: null })
    const { opportunity_id } = await publish()
    await call(sql, 'review_opportunity', { id: opportunity_id, decision: 'approved', reviewed_by: 'trader' })
    const leg = (side: string) => reserve({ opportunity_id, side, amount: 1, details: { basket: 'b' } })
    const yes = await leg('YES')
    const no = await leg('NO')
    await call(sql, 'record_execution', { id: yes.execution_id, stage: 'filled', shares: 5 })
    await call(sql, 'release_execution', { id: no.execution_id, reason: 'no_match' })
    expect(await publish()).toMatchObject({ verdict: 'duplicate' })
    await call(sql, 'settle_execution', { id: yes.execution_id, exit_price: 1 })
    expect(await publish()).toMatchObject({ verdict: 'ok' })
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
