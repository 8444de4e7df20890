import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { whileHeld } from './locks.ts'
import { call, failure, insert, type Row } from './rest.ts'

let db: Database
let traders: Client // one connection each
beforeAll(async () => {
  db = await freshDatabase({ max: 3 })
  traders = db.connect({ role: 'service_role', max: 16 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  await db.sql`delete from public.trade_executions`
  await configure({ trading_enabled: true, max_daily_exposure: 20, max_position_size: 5 })
})

async function configure(values: Record<string, unknown>, sql: Client = db.sql) {
  for (const [key, value] of Object.entries(values)) await insert(sql, 'system_config', { key, value }, { onConflict: 'key' })
}

const reserve = (changes: Row, sql: Client = traders) =>
  call(sql, 'reserve_execution', { idempotency_key: randomUUID(), market_id: randomUUID(), side: 'YES', amount: 1, ...changes })

test('30: sixteen connections reserve the same key and one execution exists', async () => {
  const keys = Array.from({ length: 10 }, () => randomUUID())
  const answers = await Promise.all(
    Array.from({ length: 320 }, (_, n) => reserve({ idempotency_key: keys[n % 10], market_id: `m${n % 10}`, executed_by: `trader-${n}` })),
  )
  const verdicts = answers.map(({ verdict }) => verdict)
  const made = await db.sql`select id, idempotency_key from public.trade_executions`
  expect(verdicts.filter((verdict) => verdict === 'ok')).toHaveLength(10)
  expect(verdicts.filter((verdict) => verdict === 'repeat')).toHaveLength(310)
  expect(new Set(made.map(({ idempotency_key }) => idempotency_key))).toEqual(new Set(keys))
  expect(made).toHaveLength(10)
  expect(new Set(answers.map(({ execution_id }) => execution_id))).toEqual(new Set(made.map(({ id }) => id)))
})

test('30: an opportunity is executed once, whatever keys its traders use', async () => {
  const { id } = await insert(db.sql, 'trade_opportunities', { market_id: 'm1', side: 'YES' })
  const answers = await Promise.all(Array.from({ length: 40 }, () => reserve({ opportunity_id: id, amount: 0.1 })))
  expect(answers.filter(({ verdict }) => verdict === 'ok')).toHaveLength(1)
  expect(answers.filter(({ reason }) => reason === 'already_executed')).toHaveLength(39)
})

test('30: a trader that dies before its commit leaves nothing, one that dies after it a repeat', async () => {
  const key = randomUUID()
  const trader = await db.connect({ role: 'service_role', max: 1 }).reserve()
  await trader`begin`
  expect(await reserve({ idempotency_key: key, market_id: 'm1' }, trader)).toMatchObject({ verdict: 'ok' })
  const [session] = await trader`select pg_backend_pid() as pid`
  await db.sql`select pg_terminate_backend(${session?.pid})`
  const first = await reserve({ idempotency_key: key, market_id: 'm1' })
  expect(first).toMatchObject({ verdict: 'ok' })
  expect(await reserve({ idempotency_key: key, market_id: 'm1' })).toEqual({
    ...first,
    verdict: 'repeat',
    stage: 'reserved',
    status: 'pending',
  })
  expect(await db.sql`select id from public.trade_executions`).toEqual([{ id: first.execution_id }])
})

/** Lets twenty traders at a thousand opportunities, each tried by two of them; the last ones are small enough for any rest. */
async function race(markets: number): Promise<{ sum: number; byMarket: number[]; doubles: number }> {
  const opportunities = await db.sql`
    insert into public.trade_opportunities (market_id, side, suggested_position)
    select 'm' || n % ${markets}, 'YES', case when n > 600 then 0.25 else (array[0.25, 0.5, 1, 2.5])[1 + n % 4] end
    from generate_series(1, 1000) n returning id, market_id, suggested_position`
  await Promise.all(
    Array.from({ length: 20 }, async (_, trader) => {
      for (const [n, { id, market_id, suggested_position }] of opportunities.entries()) {
        if (n % 20 !== trader && (n + 7) % 20 !== trader) continue
        const answer = await reserve({ opportunity_id: id, market_id, amount: Number(suggested_position), executed_by: `trader-${trader}` })
        // Some trades come to nothing, and somebody else may use what they had reserved.
        if (answer.verdict === 'ok' && n % 3 === 0) await call(traders, 'release_execution', { id: answer.execution_id, reason: 'moved' })
      }
    }),
  )
  const held = await db.sql`select market_id, sum(amount) as sum from public.trade_executions where status <> 'failed' group by market_id`
  const doubles = await db.sql`select from public.trade_executions where status <> 'failed' group by opportunity_id having count(*) > 1`
  const byMarket = held.map(({ sum }) => Number(sum))
  return { sum: byMarket.reduce((total, sum) => total + sum, 0), byMarket, doubles: doubles.length }
}

test('twenty traders and a thousand opportunities commit the daily exposure, and not a cent more', async () => {
  const { sum, byMarket, doubles } = await race(50)
  expect({ sum, highest: Math.max(...byMarket) <= 5, doubles }).toEqual({ sum: 20, highest: true, doubles: 0 })
}, 60_000)

test('twenty traders and a thousand opportunities fill each position, and not a cent more', async () => {
  await configure({ max_daily_exposure: 1000 })
  const { byMarket, doubles } = await race(8)
  expect({ byMarket, doubles }).toEqual({ byMarket: Array.from({ length: 8 }, () => 5), doubles: 0 })
}, 60_000)

/** Starts reservations that wait behind an uncommitted change of the settings; then it is committed. */
const whileConfiguring = (values: Row, count: number): Promise<Row[]> =>
  whileHeld(
    db.sql,
    (transaction) => configure(values, transaction),
    Array.from({ length: count }, () => () => reserve({})),
    16,
  )

test('a limit lowered while traders reserve holds from its commit on', async () => {
  const answers = await whileConfiguring({ max_daily_exposure: 3 }, 100)
  expect(answers.filter(({ verdict }) => verdict === 'ok')).toHaveLength(3)
  expect(answers.filter(({ limit }) => limit === 3)).toHaveLength(97)
  await configure({ max_daily_exposure: 4 })
  expect([await reserve({}), await reserve({})]).toMatchObject([{ verdict: 'ok' }, { verdict: 'refused', used: 4, limit: 4 }])
})

test('trading_enabled = false stops everybody at once', async () => {
  await reserve({})
  const answers = await whileConfiguring({ trading_enabled: false }, 100)
  expect(answers).toEqual(Array.from({ length: 100 }, () => ({ verdict: 'refused', reason: 'trading_disabled' })))
  await configure({ trading_enabled: true })
  expect(await reserve({})).toMatchObject({ verdict: 'ok' })
})

test('a change of the settings waits for the reservation under way, so that each saw one set of limits', async () => {
  await db.sql.begin(async (transaction) => {
    await reserve({ amount: 5 }, transaction as unknown as Client)
    const change = failure(
      db.sql.begin(async (other) => {
        await other`set local lock_timeout = '100ms'`
        await configure({ max_daily_exposure: 1 }, other as unknown as Client)
      }),
    )
    expect(await change).toMatchObject({ code: '55P03' })
  })
  await configure({ max_daily_exposure: 1 })
  expect(await reserve({})).toMatchObject({ reason: 'max_daily_exposure', used: 5, limit: 1 })
})
