import { expect, test } from 'vitest'
import type { Broker, Outcome } from '../../../actors/lib/markets/broker.ts'
import { createPaper } from '../../../actors/lib/markets/paper.ts'
import type { MarketSource } from '../../../actors/lib/markets/source.ts'
import { brokerFor } from '../../../actors/lib/trading/brokers.ts'
import { readExecutions } from '../../../actors/lib/trading/execution.ts'
import { type unwind as Unwind, unwind } from '../../../actors/lib/trading/sale.ts'
import type { TraderCtx } from '../../../actors/lib/trading/trader-args.ts'
import { traderArgs } from '../../../actors/lib/trading/trader-args.ts'
import { book, now } from '../markets/build.ts'

const order = {
  ...{ key: 'k', at: now, way: 'buy', marketId: '101', token: '1011', side: 'YES', negRisk: false },
  ...{ shares: 1_000, limit: 4_100, budget: 4_200_000, fees: { rate: 0, exponent: 1 }, whole: true },
}
const details = {
  broker: 'paper',
  source: 'simulated:1',
  strategy: 'complete_set',
  probability: null,
  basket: 'b',
  orders: [order, order],
  leg: 0,
}
const row = {
  ...{ id: 'e1', opportunity_id: null, market_id: '101', event_id: null, side: 'YES', amount: 4.2, fees: 0, shares: null, details },
  ...{ status: 'pending', stage: 'ordered', executed_by: 'trader-1', error_message: null, executed_at: null },
  created_at: new Date(now).toISOString(),
}
const bought = { kind: 'filled', shares: 1_000, cost: 4_100_000, fee: 50_000, fills: [], isEstimate: false } as const satisfies Outcome

async function unwound(size: string) {
  const bids = book('1011', { bids: [['0.40', size]], asks: [['0.41', '500']] })
  const source = { now: () => now, books: async () => new Map([['1011', bids]]) } as unknown as MarketSource
  const broker: Broker = createPaper({ book: async () => bids, now: () => now })
  const writes: unknown[] = []
  const ctx = {
    step: (_: string, fn: () => unknown) => fn(),
    db: { write: (fn: string, args: object) => writes.push([fn, args]) },
    log: { warn: (text: string) => writes.push(text) },
    signal: new AbortController().signal,
  } as unknown as TraderCtx
  const [execution] = readExecutions([row])
  await unwind(execution as Parameters<typeof Unwind>[0], bought, { broker, source }, ctx)
  return writes
}

test('a leg without its set is sold at once, and booked with what that cost', async () => {
  const settled = { id: 'e1', exit_price: 0.4, pnl: -0.15, fees: 0.05, exit_reason: 'unwound' }
  expect(await unwound('500')).toEqual([['settle_execution', settled]])
})

test('a leg that nobody takes is kept, and said', async () => {
  expect(await unwound('3')).toEqual(['A leg of a set is left over: YES in market 101'])
})

test('real money needs the config and the environment, and the exchange itself', () => {
  const args = { broker: 'polyclaw' } as const
  const before = process.env.LIVE_TRADING
  try {
    process.env.LIVE_TRADING = '0'
    expect(brokerFor(args, 'polymarket')).toMatchObject({ name: 'paper' })
    process.env.LIVE_TRADING = '1'
    expect(brokerFor(args, 'polymarket')).toMatchObject({ name: 'polyclaw' })
    expect(brokerFor(args, 'simulated:1')).toEqual({ name: 'paper', reason: 'paper: simulated:1 is not the exchange' })
    expect(brokerFor({ broker: 'paper' }, 'polymarket')).toMatchObject({ name: 'paper' })
  } finally {
    if (before === undefined) delete process.env.LIVE_TRADING
    else process.env.LIVE_TRADING = before
  }
  expect(traderArgs.safeParse(args).error?.issues[0]?.path).toEqual(['polyclaw'])
})
