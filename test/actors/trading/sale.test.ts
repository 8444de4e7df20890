import { afterEach, expect, test, vi } from 'vitest'
import type { Broker, Outcome } from '../../../actors/lib/markets/broker.ts'
import { createPaper } from '../../../actors/lib/markets/paper.ts'
import type { MarketSource } from '../../../actors/lib/markets/source.ts'
import { brokerFor } from '../../../actors/lib/trading/brokers.ts'
import { readExecutions } from '../../../actors/lib/trading/execution.ts'
import { type unwind as Unwind, unwind } from '../../../actors/lib/trading/sale.ts'
import type { TraderCtx } from '../../../actors/lib/trading/trader-args.ts'
import { traderArgs } from '../../../actors/lib/trading/trader-args.ts'
import { book, market, now } from '../markets/build.ts'

afterEach(() => vi.unstubAllEnvs())

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

/** What comes of unwinding a leg whose bids are of this size, by the paper broker unless told. */
async function unwound(
  size: string,
  { name = 'paper', place, bestBid = 0.4 }: { readonly name?: string; readonly place?: Broker['place']; readonly bestBid?: number } = {},
) {
  const bids = book('1011', { bids: [['0.40', size]], asks: [['0.41', '500']] })
  const books = async () => new Map([['1011', bids]])
  const source = { now: () => now, books, market: async () => market({ bestBid }) } as unknown as MarketSource
  const broker: Broker = { ...createPaper({ book: async () => bids, now: () => now }), ...(place && { place }) }
  const writes: unknown[] = []
  const ctx = {
    step: (_: string, fn: () => unknown) => fn(),
    args: traderArgs.parse({ broker: 'polyclaw', polyclaw: { command: ['polyclaw'] } }),
    db: { write: (fn: string, args: object) => writes.push([fn, args]) },
    log: { warn: (text: string) => writes.push(text) },
    signal: new AbortController().signal,
  } as unknown as TraderCtx
  const [execution] = readExecutions([{ ...row, details: { ...details, broker: name, source: 'polymarket' } }])
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

test('a leg is not sold into a book that its catalogue contradicts', async () => {
  expect(await unwound('500', { bestBid: 0.46 })).toEqual(['A leg of a set is left over: YES in market 101'])
})

test('nothing is sold with real money that may not be sold any more', async () => {
  const sales: string[] = []
  const place: Broker['place'] = async ({ key }) => {
    sales.push(key)
    return bought
  }
  vi.stubEnv('LIVE_TRADING', '1')
  await unwound('500', { name: 'polyclaw', place })
  vi.stubEnv('LIVE_TRADING', '0')
  expect([await unwound('500', { name: 'polyclaw', place }), sales]).toEqual([
    ['A leg of a set is left over: YES in market 101'],
    ['unwound:e1'],
  ])
})

test('real money needs the config and the environment, and the exchange itself', () => {
  const args = { broker: 'polyclaw' } as const
  vi.stubEnv('LIVE_TRADING', '0')
  expect(brokerFor(args, 'polymarket')).toMatchObject({ name: 'paper' })
  vi.stubEnv('LIVE_TRADING', '1')
  expect(brokerFor(args, 'polymarket')).toMatchObject({ name: 'polyclaw' })
  expect(brokerFor(args, 'simulated:1')).toEqual({ name: 'paper', reason: 'paper: simulated:1 is not the exchange' })
  expect(brokerFor({ broker: 'paper' }, 'polymarket')).toMatchObject({ name: 'paper' })
  expect(traderArgs.safeParse(args).error?.issues[0]?.path).toEqual(['polyclaw'])
})
