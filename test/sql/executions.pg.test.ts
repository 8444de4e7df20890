import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { runs } from '../seed.ts'
import { createLedger, type Operation, operations } from './ledger.ts'
import { whileHeld } from './locks.ts'
import { call, failure, insert, tradingRows } from './rest.ts'

let db: Database
let sql: Client // as the agents connect
beforeAll(async () => {
  db = await freshDatabase({ max: 2 })
  sql = db.connect({ role: 'service_role', max: 1 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(clear)

async function clear() {
  await sql`reset troupe.clock_offset`
  await sql`delete from public.trade_executions`
  await sql`delete from public.agent_status`
}

async function configure(values: Record<string, unknown>) {
  for (const [key, value] of Object.entries(values)) await insert(sql, 'system_config', { key, value }, { onConflict: 'key' })
}

async function reserved(changes: object = {}): Promise<string> {
  const args = { idempotency_key: randomUUID(), market_id: randomUUID(), side: 'YES', amount: 1, executed_by: 'trader-1', ...changes }
  const { execution_id } = await call(sql, 'reserve_execution', args)
  return String(execution_id)
}

describe('stages', () => {
  const record = (id: string, stage: string) => call(sql, 'record_execution', { id, stage })
  const ways: Record<string, (id: string) => Promise<unknown>> = {
    ordered: (id) => record(id, 'ordered'),
    unknown: (id) => record(id, 'unknown'),
    unsold_leg: (id) => record(id, 'unsold_leg'),
    filled: (id) => record(id, 'filled'),
    release: (id) => call(sql, 'release_execution', { id, reason: 'test' }),
    settle: (id) => call(sql, 'settle_execution', { id, pnl: 0 }),
  }
  const table: Record<string, Record<keyof typeof ways, string>> = {
    reserved: { ordered: 'ok', unknown: 'ok', unsold_leg: 'ok', filled: 'ok', release: 'ok', settle: 'stale' },
    ordered: { ordered: 'repeat', unknown: 'ok', unsold_leg: 'ok', filled: 'ok', release: 'ok', settle: 'stale' },
    unknown: { ordered: 'stale', unknown: 'repeat', unsold_leg: 'ok', filled: 'ok', release: 'ok', settle: 'stale' },
    unsold_leg: { ordered: 'stale', unknown: 'stale', unsold_leg: 'repeat', filled: 'ok', release: 'stale', settle: 'ok' },
    filled: { ordered: 'stale', unknown: 'stale', unsold_leg: 'stale', filled: 'repeat', release: 'stale', settle: 'ok' },
    settled: { ordered: 'stale', unknown: 'stale', unsold_leg: 'stale', filled: 'stale', release: 'stale', settle: 'repeat' },
    failed: { ordered: 'stale', unknown: 'stale', unsold_leg: 'stale', filled: 'stale', release: 'repeat', settle: 'stale' },
  }
  const paths: Record<string, string[]> = {
    reserved: [],
    ordered: ['ordered'],
    unknown: ['unknown'],
    unsold_leg: ['unsold_leg'],
    filled: ['filled'],
    settled: ['filled', 'settle'],
    failed: ['release'],
  }

  test.each(Object.entries(table))('from %s', async (from, expected) => {
    const answers: Record<string, unknown> = {}
    for (const [name, go] of Object.entries(ways)) {
      const id = await reserved({ amount: 0.01 })
      for (const step of paths[from] ?? []) await ways[step]?.(id)
      const [before] = await sql`select * from public.trade_executions where id = ${id}`
      const { verdict } = (await go(id)) as { verdict: string }
      const [after] = await sql`select * from public.trade_executions where id = ${id}`
      answers[name] = verdict
      if (verdict === 'ok') expect(after).not.toEqual(before)
      else expect(after).toEqual(before)
    }
    expect(answers).toEqual(expected)
  })

  test('what is not there is not found, by id or key', async () => {
    const missing = [{ id: randomUUID() }, { idempotency_key: 'none' }, { id: null, idempotency_key: 'none' }, {}]
    for (const where of missing) {
      expect(await call(sql, 'record_execution', { ...where, stage: 'filled' })).toEqual({ verdict: 'not_found' })
      expect(await call(sql, 'settle_execution', { ...where, pnl: 1 })).toEqual({ verdict: 'not_found' })
      expect(await call(sql, 'release_execution', where)).toEqual({ verdict: 'not_found' })
    }
  })

  test('a repeated settlement books its profit once; the key finds the execution as well as the id', async () => {
    await insert(sql, 'agent_status', { agent_id: 'trader-1', agent_name: 'Trader', agent_type: 'trader' })
    const id = await reserved({ idempotency_key: 'k1' })
    await call(sql, 'record_execution', { idempotency_key: 'k1', stage: 'filled', shares: 2.5, fees: 0.02, details: null })
    const settle = () => call(sql, 'settle_execution', { idempotency_key: 'k1', exit_price: 0.9, exit_reason: 'target' })
    expect([await settle(), await settle()]).toEqual([
      { verdict: 'ok', pnl: 1.23 },
      { verdict: 'repeat', pnl: 1.23 },
    ])
    expect(await tradingRows(sql)).toMatchObject({
      executions: [
        { id, status: 'settled', stage: 'closed', pnl: 1.23, fees: 0.02, exit_reason: 'target', settled_at: expect.any(String) },
      ],
      agents: [{ total_profit: 1.23 }],
    })
  })

  test('twelve calls at once for one execution: the first counts, whether it is found by id or key', async () => {
    await insert(sql, 'agent_status', { agent_id: 'trader-1', agent_name: 'Trader', agent_type: 'trader' })
    const traders = db.connect({ role: 'service_role', max: 11 })
    for (const where of ['id', 'idempotency_key']) {
      const id = await reserved({ idempotency_key: where })
      await call(sql, 'record_execution', { id, stage: 'filled' })
      const settle = (client: Client, pnl: number) => call(client, 'settle_execution', { [where]: where === 'id' ? id : where, pnl })
      const late = await whileHeld(
        db.sql,
        (transaction) => settle(transaction, 0.5),
        Array.from({ length: 11 }, () => () => settle(traders, 0.7)),
      )
      expect(late).toEqual(Array.from({ length: 11 }, () => ({ verdict: 'repeat', pnl: 0.5 })))
    }
    expect(await sql`select total_profit from public.agent_status`).toEqual([{ total_profit: '1.0' }])
  })

  test('a release and a fill at once: what came first stands', async () => {
    const id = await reserved()
    const late = await whileHeld(db.sql, (transaction) => call(transaction, 'record_execution', { id, stage: 'filled' }), [
      () => call(sql, 'release_execution', { id, reason: 'late' }),
    ])
    expect(late).toEqual([{ verdict: 'stale', stage: 'filled', status: 'executed' }])
  })

  test('what was reserved is released only while it is unsent, if that is what is asked', async () => {
    const id = await reserved()
    const release = (stage: string) => call(sql, 'release_execution', { id, reason: 'nobody went on with it', stage })
    expect(await release('ordered')).toEqual({ verdict: 'stale', stage: 'reserved', status: 'pending' })
    const late = await whileHeld(db.sql, (transaction) => call(transaction, 'record_execution', { id, stage: 'ordered' }), [
      () => release('reserved'),
    ])
    expect(late).toEqual([{ verdict: 'stale', stage: 'ordered', status: 'pending' }])
    expect([await release('ordered'), await release('reserved')]).toEqual([{ verdict: 'ok' }, { verdict: 'repeat' }])
  })

  test.each([
    ['release_execution', { stage: 'filled' }, 'PT400', /stage/],
    ['record_execution', { stage: 'closed' }, 'PT400', /stage/],
    ['record_execution', {}, 'PT400', /stage/],
    ['record_execution', { stage: 'filled', amount: 1.01 }, 'PT400', /above the 1 reserved/],
    ['record_execution', { stage: 'filled', amount: 'NaN' }, 'PT400', /above the 1 reserved/],
    ['record_execution', { stage: 'filled', amount: 'Infinity' }, 'PT400', /above the 1 reserved/],
    ['record_execution', { stage: 'filled', amount: 0 }, '23514', /amount_range/],
    ['record_execution', { stage: 'filled', amount: -1 }, '23514', /amount_range/],
    ['record_execution', { stage: 'filled', entry_price: 2 }, '23514', /price_range/],
    ['record_execution', { stage: 'filled', entry_price: 'NaN' }, '23514', /price_range/],
    ['record_execution', { stage: 'filled', shares: -1 }, '23514', /amount_range/],
    ['record_execution', { stage: 'filled', shares: 'Infinity' }, '23514', /amount_range/],
    ['record_execution', { stage: 'filled', fees: 'NaN' }, '23514', /amount_range/],
    ['record_execution', { stage: 'filled', fees: -0.01 }, '23514', /amount_range/],
    ['record_execution', { stage: 'filled', amount: 'all' }, '22P02', /numeric/],
    ['settle_execution', {}, 'PT400', /pnl is unknown/],
    ['settle_execution', { exit_price: 0.5 }, 'PT400', /pnl is unknown/],
    ['settle_execution', { pnl: 'NaN' }, '23514', /amount_range/],
    ['settle_execution', { pnl: '-Infinity' }, '23514', /amount_range/],
    ['settle_execution', { pnl: 1e300 }, '23514', /amount_range/],
    ['settle_execution', { pnl: 1, exit_price: -0.1 }, '23514', /price_range/],
    ['settle_execution', { pnl: 1, fees: -1 }, '23514', /amount_range/],
  ])('%s refuses %o and changes nothing', async (name, args, code, message) => {
    const id = await reserved()
    if (name === 'settle_execution') await call(sql, 'record_execution', { id, stage: 'filled' })
    const before = await tradingRows(sql)
    expect(await failure(call(sql, name, { id, ...args }))).toEqual({ code, message: expect.stringMatching(message) })
    expect(await tradingRows(sql)).toEqual(before)
  })
})

test('any sequence of calls leaves what a plain ledger has, to the cent', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operations, { minLength: 10, maxLength: 40 }), async (sequence) => {
      await clear()
      await configure({ trading_enabled: true, max_daily_exposure: 20, max_position_size: 5 })
      for (const agent_id of ['trader-1', 'trader-2']) {
        await insert(sql, 'agent_status', { agent_id, agent_name: agent_id, agent_type: 'trader' })
      }
      const ledger = createLedger()
      for (const operation of sequence) {
        expect({ operation, answer: await perform(operation) }).toEqual({ operation, answer: ledger.perform(operation) })
      }
      expect(await readLedger(ledger.day)).toEqual(ledger.totals())
    }),
    runs(60),
  )
}, 60_000)

/** Does to the database what the ledger does in memory. */
async function perform(operation: Operation): Promise<string> {
  const usd = (cents: number) => cents / 100
  const answered = ({ verdict, reason }: { verdict?: string; reason?: string }) => reason ?? verdict ?? ''
  switch (operation.kind) {
    case 'configure':
      await configure(operation.limit === undefined ? { trading_enabled: operation.enabled } : { max_daily_exposure: usd(operation.limit) })
      return 'ok'
    case 'next_day':
      await sql`select set_config('troupe.clock_offset', coalesce(nullif(current_setting('troupe.clock_offset', true), ''), '0')::interval + interval '1 day' || '', false)`
      return 'ok'
    case 'reserve': {
      const { key, market, cents, trader } = operation
      const args = { idempotency_key: key, market_id: market, side: 'NO', amount: usd(cents), executed_by: trader }
      return answered(await call(sql, 'reserve_execution', args))
    }
    case 'record': {
      const { key, stage, cents, shares } = operation
      const work = call(sql, 'record_execution', { idempotency_key: key, stage, amount: usd(cents), shares, fees: 0.01 })
      return await work.then(answered, (error: { code: string }) => error.code)
    }
    case 'settle': {
      const work = call(sql, 'settle_execution', { idempotency_key: operation.key, exit_price: usd(operation.price) })
      return await work.then(answered, (error: { code: string }) => error.code)
    }
    case 'release':
      return answered(await call(sql, 'release_execution', { idempotency_key: operation.key }))
  }
}

async function readLedger(day: number) {
  const cents = (value: unknown) => Math.round(Number(value) * 100)
  const rows = await sql`select idempotency_key, stage, status, amount, pnl from public.trade_executions order by idempotency_key`
  const [today] = await sql`select today, market from troupe.exposure('m1', troupe.now())`
  const traders = await sql`select total_profit from public.agent_status order by agent_id`
  return {
    day,
    executions: rows.map((row) => ({
      key: row.idempotency_key,
      stage: row.stage,
      status: row.status,
      amount: cents(row.amount),
      pnl: row.pnl === null ? undefined : cents(row.pnl),
    })),
    today: cents(today?.today),
    open: cents(today?.market),
    profits: traders.map((trader) => cents(trader.total_profit)),
  }
}
