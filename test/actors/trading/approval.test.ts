import { expect, test } from 'vitest'
import { trade } from '../../../actors/lib/trading/trade.ts'
import { type TraderCtx, traderArgs } from '../../../actors/lib/trading/trader-args.ts'

const id = '0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11'
const now = Date.parse('2026-07-25T12:00:00Z')
const job = { opportunity_id: id, market_id: '101', side: 'YES' } as const
const source = 'simulated:1?interval=0'

const order = {
  ...{ key: `opportunity:${id}:0`, at: now, way: 'buy', marketId: '101', token: '1011', side: 'YES', negRisk: false },
  ...{ shares: 1_000, limit: 4_100, budget: 4_200_000, fees: { rate: 0, exponent: 1 }, whole: false },
}
const details = { broker: 'paper', source, strategy: 'model_opinion', probability: 0.7, basket: null, orders: [order], leg: 0 }
const reserved = {
  ...{ id: 'e1', opportunity_id: id, market_id: '101', event_id: null, side: 'YES', amount: 4.2, fees: 0, shares: null, details },
  ...{ status: 'pending', stage: 'reserved', executed_by: 'trader-1', error_message: null, executed_at: null },
  created_at: new Date(now).toISOString(),
}

/** What a trader makes of a job where people decide, with everything that it writes. */
async function traded(status: string, { expires = now + 60_000, begun = [] as readonly object[] } = {}) {
  const row = { id, market_id: '101', side: 'YES', status, current_price: 0.4, target_price: 0.7, confidence: 0.9, edge: 0.3 }
  const opportunity = { ...row, details: { source }, expires_at: new Date(expires).toISOString() }
  const tables: Readonly<Record<string, readonly object[]>> = { trade_opportunities: [opportunity], trade_executions: begun }
  const done: unknown[] = []
  const ctx = {
    ...{ self: 'trader-1', now: () => now, signal: new AbortController().signal },
    args: traderArgs.parse({ approval: 'manual', market: source }),
    db: {
      read: async (table: string) => tables[table] ?? [],
      call: async (fn: string) => done.push(fn) && { verdict: 'repeat' },
      write: (fn: string, { decision, reason }: { decision?: string; reason: string }) => done.push([fn, decision, reason]),
    },
  } as unknown as TraderCtx
  const { decision, reason } = await trade(job, ctx)
  return [decision, reason, done]
}

test('where people decide a job waits for nobody: it ends, and says what a person can do', async () => {
  expect(await traded('pending')).toEqual(['waiting', 'a person decides: troupe opportunities show 0b6f2f5e', []])
  expect(await traded('pending', { expires: now })).toEqual(['rejected', 'expired', []])
  expect(await traded('rejected')).toEqual(['rejected', 'already_rejected', []])
})

test('an approval that came to nothing is given up, so that its market may be found again', async () => {
  expect(await traded('approved', { expires: now })).toEqual(['rejected', 'expired', [['review_opportunity', 'rejected', 'expired']]])
})

test('what was begun while traders decided by themselves is not carried out unapproved', async () => {
  expect(await traded('pending', { begun: [reserved] })).toEqual([
    'rejected',
    'not_approved',
    [
      ['release_execution', undefined, 'not_approved'],
      ['review_opportunity', 'rejected', 'not_approved'],
    ],
  ])
})
