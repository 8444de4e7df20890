import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { trade } from '../../../actors/lib/trading/trade.ts'
import { type TraderCtx, traderArgs } from '../../../actors/lib/trading/trader-args.ts'
import { openFolder } from './folder.ts'
import { recordMarkets } from './ground.ts'

const id = '0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11'
const now = Date.parse('2026-07-25T12:00:00Z')
const job = { opportunity_id: id, market_id: '101', side: 'YES' } as const
const order = {
  ...{ key: `opportunity:${id}:0`, at: now, way: 'buy', marketId: '101', token: '1011', side: 'YES', negRisk: false },
  ...{ shares: 1_000, limit: 4_100, budget: 10_000_000, fees: { rate: 0, exponent: 1 }, whole: false },
}
const legs = [order, { ...order, key: `opportunity:${id}:1`, token: '1012', side: 'NO' }]

afterEach(() => vi.unstubAllEnvs())

/** A trade of two legs that somebody began, with real money unless told, each as far as its stage says. */
function begun(stages: readonly string[], changes: object = {}) {
  const real = { broker: 'polyclaw', source: 'polymarket' }
  const plan = { ...real, strategy: 'complete_set', probability: null, basket: id, orders: legs, ...changes }
  return stages.map((stage, leg) => ({
    ...{ id: `e${leg}`, opportunity_id: id, market_id: '101', event_id: null, side: legs[leg]?.side, amount: 10, fees: 0, shares: null },
    ...{ status: stage === 'filled' ? 'executed' : 'pending', stage, executed_by: 'trader-1', error_message: null, executed_at: null },
    ...(stage === 'filled' && { amount: 4.1, shares: 10 }),
    details: { ...plan, leg },
    created_at: new Date(now).toISOString(),
  }))
}

/** What a trader makes of a job that was begun before, with everything that it writes and that the CLI was asked; trading may be switched off after so many orders. */
async function goneOn(executions: readonly object[], args: object, { row: changes = {}, config = {}, offAfter = 9 } = {}) {
  await using folder = await openFolder()
  const log = join(folder.path, 'calls')
  const command = [process.execPath, join(import.meta.dirname, '../markets/polyclaw-stand-in.js')]
  const polyclaw = { command, trade: command, env: { STAND_IN: 'filled', STAND_IN_LOG: log, STAND_IN_STORE: join(folder.path, 'store') } }
  const row = { id, market_id: '101', side: 'YES', status: 'approved', current_price: 0.4, confidence: 0.9, edge: 0.3, ...changes }
  const details = { source: 'polymarket', strategy: 'complete_set' }
  let orders = 0
  const limits = () => ({ trading_enabled: orders < offAfter, max_daily_exposure: 20, max_position_size: 5, ...config })
  const tables: Readonly<Record<string, () => readonly object[]>> = {
    trade_opportunities: () => [{ details, expires_at: new Date(now + 60_000).toISOString(), ...row }],
    trade_executions: () => executions,
    system_config: () => Object.entries(limits()).map(([key, value]) => ({ key, value })),
  }
  const written: unknown[] = []
  const ctx = {
    ...{ self: folder.path, now: () => now, signal: new AbortController().signal, step: (_: string, fn: () => unknown) => fn() },
    args: traderArgs.parse({ market: 'polymarket', polyclaw, ...args }),
    http: () => Promise.reject(new Error('the market is asked')),
    db: {
      read: async (table: string) => tables[table]?.() ?? [],
      async call(_: string, { stage }: { stage?: string }) {
        if (stage === 'ordered') orders += 1
        return { verdict: stage === 'ordered' ? 'ok' : 'repeat' }
      },
      write: (fn: string, { id: of, reason, stage, exit_reason }: Record<string, string>) =>
        written.push([fn, of, stage, reason, exit_reason].filter(Boolean)),
    },
  } as unknown as TraderCtx
  const { decision, reason } = await trade(job, ctx)
  const calls = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
  return { decision, reason, written, calls: calls.map((line) => (JSON.parse(line) as { args: string[] }).args.join(' ')) }
}

/** What is written of a trade of which nothing was sent. */
const givenUp = (reason: string) => [
  ['release_execution', 'e0', 'reserved', reason],
  ['release_execution', 'e1', 'reserved', reason],
  ['review_opportunity', id, reason],
]

const off = [
  ['LIVE_TRADING is off', { broker: 'polyclaw' }, '0'],
  ['the config is back to paper', { broker: 'paper' }, '1'],
] as const

test.each(off)('what was begun with real money is not sent any more once %s', async (_, args, live) => {
  vi.stubEnv('LIVE_TRADING', live)
  const { calls, written, decision } = await goneOn(begun(['reserved', 'reserved']), args)
  expect([decision, calls]).toEqual(['rejected', []])
  expect(written).toEqual(givenUp('live_trading_off'))
})

test.each(off)('what was sent with real money is only asked about once %s, and its other leg stays unsent', async (_, args, live) => {
  vi.stubEnv('LIVE_TRADING', live)
  const { calls, written, decision } = await goneOn(begun(['ordered', 'reserved']), args)
  expect([decision, calls]).toEqual(['unknown', ['positions --json']])
  expect(written).toEqual([
    ['record_execution', 'e0', 'unknown'],
    ['release_execution', 'e1', 'reserved', 'not_whole: another leg failed'],
  ])
})

test('a leg that was sent is asked about, also when the one before it failed', async () => {
  vi.stubEnv('LIVE_TRADING', '1')
  const { calls, written } = await goneOn(begun(['ordered', 'ordered']), { broker: 'polyclaw' })
  expect(calls).toEqual(['positions --json', 'positions --json'])
  expect(written).toEqual([
    ['record_execution', 'e0', 'unknown'],
    ['record_execution', 'e1', 'unknown'],
  ])
})

describe('a set of which one leg was bought', () => {
  const off = ['release_execution', 'e1', 'reserved', 'trading_disabled: paper may not buy any more']
  const sold = ['settle_execution', 'e0', 'unwound']
  const no = { ...legs[1], limit: 6_100 }

  test.each([
    ['before', ['filled', 'reserved'], { config: { trading_enabled: false } }, [sold, off]],
    ['in between', ['reserved', 'reserved'], { offAfter: 1 }, [['record_execution', 'e0', 'filled'], sold, off]],
  ])('is not completed once trading was switched off %s: what was bought is sold', async (_, stages, changes, expected) => {
    await using folder = await openFolder()
    const source = await recordMarkets(folder.path, [{}])
    const set = begun(stages, { broker: 'paper', source, orders: [order, no] })
    const { decision, reason, written } = await goneOn(set, { market: source }, { row: { details: { source } }, ...changes })
    expect([decision, reason, written]).toEqual(['partly', 'trading_disabled', expected])
  })

  test('is completed while trading is on', async () => {
    await using folder = await openFolder()
    const source = await recordMarkets(folder.path, [{}])
    const set = begun(['filled', 'reserved'], { broker: 'paper', source, orders: [order, no] })
    const { decision, written } = await goneOn(set, { market: source }, { row: { details: { source } } })
    expect([decision, written]).toEqual(['executed', [['record_execution', 'e1', 'filled']]])
  })
})

test('a set of which two traders have reserved a leg each, of different sizes, is not bought by either', async () => {
  await using folder = await openFolder()
  const source = await recordMarkets(folder.path, [{}])
  const of = (shares: number) =>
    begun(['reserved', 'reserved'], { broker: 'paper', source, orders: legs.map((leg) => ({ ...leg, shares, limit: 6_100 })) })
  const [first = {}, last = {}] = [of(1_000)[0], of(900)[1]]
  const { decision, reason, written } = await goneOn([first, last], { market: source }, { row: { details: { source } } })
  expect([decision, reason, written]).toEqual(['rejected', 'decided_twice', givenUp('decided_twice').slice(0, 2)])
})

describe('a trade that was reserved and never sent', () => {
  const reserved = (orders: readonly object[], source: string) => begun(['reserved', 'reserved'], { broker: 'paper', orders, source })

  test.each([
    ['trading was switched off', 'trading_disabled', { config: { trading_enabled: false } }],
    ['its time is over', 'expired', { row: { expires_at: new Date(now).toISOString() } }],
    ['somebody has rejected it', 'already_rejected', { row: { status: 'rejected' } }],
  ])('is given up once %s', async (_, reason, changes) => {
    const { written, ...result } = await goneOn(reserved(legs, 'simulated:1?interval=0'), {}, changes)
    expect([result.reason, written]).toEqual([reason, givenUp(reason)])
  })

  test.each([
    ['is closed', 'closed', { closed: true }],
    ['is not there', 'no_market', { id: '102' }],
    ['has no book', 'no_book', {}, { token: '9' }],
    ['is as it was', undefined, {}],
  ])('is given up, or carried out, by its market, which %s', async (_, reason, changes, other: object = {}) => {
    await using folder = await openFolder()
    const market = await recordMarkets(folder.path, [changes])
    const one = begun(['reserved'], {
      broker: 'paper',
      source: market,
      strategy: 'model_opinion',
      basket: null,
      orders: [{ ...order, ...other }],
    })
    const row = { details: { source: market, strategy: 'model_opinion', probability: 0.7 } }
    const { decision, written, ...result } = await goneOn(one, { market }, { row })
    expect([decision, result.reason]).toEqual([reason === undefined ? 'executed' : 'rejected', reason])
    expect(written).toEqual(reason === undefined ? [['record_execution', 'e0', 'filled']] : givenUp(reason).filter(([, of]) => of !== 'e1'))
  })
})
