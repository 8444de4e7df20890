import { expect, test } from 'vitest'
import { lookAtAll } from '../../../actors/lib/trading/look.ts'
import { openPositions } from '../../../actors/lib/trading/positions.ts'
import { type TraderCtx, type TraderState, traderArgs } from '../../../actors/lib/trading/trader-args.ts'
import { now, rawMarket } from '../markets/build.ts'
import { openFolder } from './folder.ts'
import { recordMarkets } from './ground.ts'

const set = '0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11'

/** An open purchase of YES for so much that a stop is due at the recorded bid of 0.40. */
function bought(id: string, market: string, details: object, changes: object = {}) {
  const order = {
    ...{ key: id, at: now, way: 'buy', marketId: market, token: `${market}1`, side: 'YES', negRisk: false },
    ...{ shares: 1_000, limit: 9_000, budget: 9_000_000, fees: { rate: 0, exponent: 1 }, whole: false },
  }
  const about = { broker: 'paper', strategy: 'model_opinion', probability: 0.95, basket: null, orders: [order], leg: 0 }
  const at = new Date(now).toISOString()
  return {
    ...{ id, opportunity_id: set, market_id: market, event_id: null, side: 'YES', amount: 9, fees: 0, shares: 10 },
    ...{ status: 'executed', stage: 'filled', executed_by: 'trader-1', error_message: null, created_at: at, executed_at: at },
    details: { ...about, ...details },
    ...changes,
  }
}

type Filter = Readonly<Record<string, unknown>>
const fits = (row: Filter, filter: Filter) =>
  Object.entries(filter).every(([key, wanted]) => {
    const { in: some, gt } = (wanted ?? {}) as { in?: readonly unknown[]; gt?: string }
    if (gt !== undefined) return String(row[key]) > gt
    return some === undefined ? row[key] === wanted : some.includes(row[key])
  })
/** As a store answers: never more than so many rows. */
const answered = (rows: readonly object[], filter: Filter) =>
  (rows as readonly Filter[])
    .filter((row) => fits(row, filter))
    .toSorted((one, other) => (String(one.id) < String(other.id) ? -1 : 1))
    .slice(0, 1_000)

/** Looks once, with every stop seen often enough; gives what was written, what is known afterwards and what was warned of. */
async function looked(
  rows: readonly object[],
  { fails, answers = {} }: { readonly fails?: string; readonly answers?: Readonly<Record<string, unknown>> } = {},
) {
  const written: string[] = []
  const warned: string[] = []
  const state = {
    watches: Object.fromEntries(rows.map((row) => [(row as Filter).id, { reason: 'stop_loss', looks: 5 }])),
    marks: {},
  } as TraderState
  const ctx = {
    ...{ self: 'trader-1', now: () => now, signal: new AbortController().signal, step: (_: string, fn: () => unknown) => fn(), state },
    args: traderArgs.parse({}),
    http: async (url: string) => {
      const answer = answers[new URL(url).pathname]
      const body = new Blob([JSON.stringify(answer ?? null)]).stream()
      return { status: answer ? 200 : 400, ok: answer !== undefined, headers: {}, body }
    },
    log: { info() {}, warn: (text: string) => warned.push(text) },
    db: {
      read: async (table: string, filter: Filter) => (table === 'trade_executions' ? answered(rows, filter) : []),
      write(fn: string, { id }: { id: string }) {
        if (id === fails) throw new Error('it breaks')
        written.push(`${fn} ${id}`)
      },
    },
  } as unknown as TraderCtx
  await lookAtAll(ctx)
  const { positions } = await openPositions(ctx)
  return { written, warned, watches: Object.keys(ctx.state.watches), marks: Object.keys(ctx.state.marks), positions: positions.length }
}

test('a set of which one outcome was decided early is held, one of which a leg was sold is not', async () => {
  await using folder = await openFolder()
  const source = await recordMarkets(folder.path, [{}, {}, {}])
  const legs = (exit_reason: string) => {
    const orders = ['101', '102', '103'].flatMap((market) => bought('k', market, {}).details.orders)
    const basket = { source, strategy: 'neg_risk', probability: null, basket: set, orders }
    const ended = { status: 'settled', stage: 'closed', exit_reason }
    return ['101', '102', '103'].map((market, leg) => bought(`e${leg}`, market, { ...basket, leg }, leg === 0 ? ended : {}))
  }
  expect(await looked(legs('resolved'))).toMatchObject({ written: [], marks: ['e1', 'e2'] })
  expect(await looked(legs('stop_loss'))).toMatchObject({ written: ['settle_execution e1', 'settle_execution e2'] })
})

test('a trade that cannot be looked at keeps nobody from the others, and what was known of it stays', async () => {
  await using folder = await openFolder()
  const source = await recordMarkets(folder.path, [{}, {}])
  const live = { broker: 'polyclaw', source }
  const old = { status: 'pending', created_at: new Date(now - 3_600_000).toISOString() }
  const rows = [
    bought('failing', '101', { source }),
    bought('sold', '102', { source }),
    bought('unsent', '101', live, { ...old, stage: 'reserved' }),
    bought('asked', '101', live, { ...old, stage: 'ordered' }),
    bought('marked', '101', live),
  ]
  const { written, warned, watches } = await looked(rows, { fails: 'failing' })
  expect(written).toEqual(['release_execution unsent', 'settle_execution sold'])
  const needed = expect.stringContaining('args.polyclaw is needed')
  expect([watches, warned]).toEqual([
    ['asked', 'failing', 'marked'],
    [needed, 'The open trade in market 101 cannot be looked at: it breaks', needed],
  ])
})

test('every open trade is looked at, however many there are', async () => {
  await using folder = await openFolder()
  const source = await recordMarkets(folder.path, [{}])
  const rows = Array.from({ length: 2_001 }, (_, at) => bought(String(1_000 + at), '101', { source }, { amount: at === 2_000 ? 9 : 4 }))
  const { written, marks, positions } = await looked(rows)
  expect([written, marks.length, positions]).toEqual([['settle_execution 3000'], 2_000, 2_001])
})

test('a market that cannot be read keeps nobody from the others', async () => {
  const rows = ['101', '102'].map((market) => bought(`of ${market}`, market, { source: 'polymarket' }))
  const recorded = { '/books': [], '/markets/102': rawMarket({ id: '102', closed: true, outcomePrices: '["1", "0"]' }) }
  const { written, warned, watches } = await looked(rows, { answers: recorded })
  const failed = 'Market 101 cannot be looked at: https://gamma-api.polymarket.com/markets/101: status 400'
  expect([written, watches, warned]).toEqual([['settle_execution of 102'], ['of 101'], [failed]])
})
