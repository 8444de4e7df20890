import { describe, expect, test } from 'vitest'
import { exitDefaults } from '../../../actors/lib/markets/positions.ts'
import { type Execution, isMine, keeperOf, readExecutions, siblingsOf } from '../../../actors/lib/trading/execution.ts'
import { judge, type Sight } from '../../../actors/lib/trading/exits.ts'
import { book, market, now } from '../markets/build.ts'

const order = {
  ...{ key: 'k', at: now, way: 'buy', marketId: '101', token: '1011', side: 'YES', negRisk: false },
  ...{ shares: 1_000, limit: 4_100, budget: 4_200_000, fees: { rate: 0, exponent: 1 }, whole: false },
}
const details = {
  broker: 'paper',
  source: 'simulated:1',
  strategy: 'model_opinion',
  probability: 0.7,
  basket: null,
  orders: [order],
  leg: 0,
}
const row = {
  ...{ id: 'e1', opportunity_id: null, market_id: '101', event_id: null, side: 'YES', amount: 4, fees: 0.1, shares: 10 },
  ...{ status: 'executed', stage: 'filled', executed_by: 'trader-1', error_message: null, details },
  ...{ created_at: new Date(now).toISOString(), executed_at: new Date(now).toISOString() },
}
const read = (changes: object = {}) => readExecutions([{ ...row, ...changes }])[0] as Execution
const bids = (price: string, size = '500') => book('1011', { bids: [[price, size]], asks: [['0.99', '5']] })
/** The market as its catalogue shows it: bids of so much for YES. */
const quoting = (bestBid: number) => market({ bestBid, bestAsk: bestBid + 0.01 })
const sight = (changes: Partial<Sight> = {}): Sight => ({
  ...{ market: market(), book: bids('0.41'), siblings: [], watch: { looks: 0 }, now, wallNow: now },
  ...changes,
})

describe('an open trade', () => {
  test('pays out when its market is decided, whatever else there is', () => {
    const won = market({ closed: true, outcomePrices: '["1", "0"]' })
    expect(judge(read(), sight({ market: won }), exitDefaults)).toMatchObject({
      kind: 'settle',
      reason: 'resolved',
      settled: { pnl: 5_900_000 },
    })
    const lost = market({ closed: true, outcomePrices: '["0", "1"]' })
    expect(judge(read(), sight({ market: lost }), exitDefaults)).toMatchObject({ settled: { pnl: -4_100_000, exitPrice: 0 } })
    const pair = read({ stage: 'unsold_leg', amount: 10, fees: 0 })
    expect(judge(pair, sight({ market: lost }), exitDefaults)).toMatchObject({ settled: { pnl: 0 } })
  })

  test('is sold at the second look in a row at a loss that the bid shows, not at the first', () => {
    const low = { book: bids('0.30'), market: quoting(0.3) }
    const first = judge(read(), sight(low), exitDefaults)
    expect(first).toMatchObject({ kind: 'hold', watch: { reason: 'stop_loss', looks: 1 }, mark: { value: 3_000_000 } })
    const watch = first.kind === 'hold' ? first.watch : undefined
    expect(judge(read(), sight({ ...low, watch: watch ?? { looks: 0 } }), exitDefaults)).toMatchObject({
      kind: 'sell',
      reason: 'stop_loss',
    })
  })

  test('is held while the catalogue contradicts its book, of either side', () => {
    const watch = { reason: 'stop_loss', looks: 1 } as const
    const of = (price: string, quoted: number, changes: object = {}) =>
      judge(read(changes), sight({ book: bids(price), market: quoting(quoted), watch }), exitDefaults)
    expect([of('0.01', 0.4), of('0.95', 0.4)]).toEqual(Array(2).fill({ kind: 'hold', watch }))
    // NO: 0.30 is bid for it where 0.70 is asked for YES.
    expect([of('0.01', 0.69, { side: 'NO' }), of('0.30', 0.69, { side: 'NO' }).kind]).toEqual([{ kind: 'hold', watch }, 'sell'])
    expect(judge(read(), sight({ book: bids('0.10'), market: market({ bestBid: null }), watch }), exitDefaults).kind).toBe('sell')
  })

  test('is sold once the bid is worth more than what is believed of it', () => {
    const watch = { reason: 'edge_gone', looks: 1 } as const
    expect(judge(read(), sight({ probability: 0.4, watch }), exitDefaults)).toMatchObject({ kind: 'sell', reason: 'edge_gone' })
    expect(judge(read(), sight({ probability: 0.5, watch }), exitDefaults)).toMatchObject({ kind: 'hold' })
  })

  test('is held while nobody knows more, or nobody would take all of it', () => {
    const seen = { reason: 'stop_loss', looks: 1 } as const
    expect(judge(read(), sight({ market: undefined, watch: seen }), exitDefaults)).toEqual({ kind: 'hold', watch: seen })
    expect(judge(read(), sight({ book: undefined }), exitDefaults)).toMatchObject({ kind: 'hold' })
    expect(
      judge(read(), sight({ book: bids('0.10', '6'), market: quoting(0.1), watch: { reason: 'stop_loss', looks: 5 } }), exitDefaults),
    ).toMatchObject({
      kind: 'hold',
    })
  })

  test('as a leg of a set is not sold alone; a pair is given back for a dollar', () => {
    const set = {
      ...details,
      strategy: 'complete_set',
      basket: 'b',
      probability: null,
      orders: [order, { ...order, side: 'NO', token: '1012' }],
    }
    const yes = read({ details: set })
    const no = read({ id: 'e2', side: 'NO', amount: 5, fees: 0.2, details: { ...set, leg: 1 } })
    const legs = [judge(yes, sight({ siblings: [no] }), exitDefaults), judge(no, sight({ siblings: [yes] }), exitDefaults)]
    expect(legs).toMatchObject([
      { kind: 'settle', reason: 'merged', settled: { proceeds: 4_500_000, pnl: 400_000 } },
      { kind: 'settle', reason: 'merged', settled: { proceeds: 5_500_000, pnl: 300_000 } },
    ])
    const other = read({ details: { ...set, strategy: 'neg_risk' } })
    const dear = { book: bids('0.10'), market: quoting(0.1), watch: { reason: 'stop_loss', looks: 5 } as const }
    expect(judge(other, sight({ ...dear, siblings: [no] }), exitDefaults)).toMatchObject({ kind: 'hold' })
    expect(judge(other, sight(dear), exitDefaults)).toMatchObject({ kind: 'sell' })
  })

  test('belongs to who made it, or to the first of ours at work once that one is not', () => {
    const agent = (agent_id: string, status = 'idle', health_status = 'healthy', version: string | null = 'v1') => {
      return { agent_id, status, health_status, version }
    }
    const traders = [
      ...[agent('trader-1'), agent('trader-2', 'blocked'), agent('trader-3', 'working', 'stale'), agent('trader-4', 'offline')],
      // Paused or in quarantine; and one in Python.
      ...[agent('a-parked', 'error'), agent('a-python', 'working', 'healthy', null)],
    ]
    const by = (executed_by: string) => ['trader-1', 'trader-2'].filter((self) => isMine({ executed_by }, self, traders))
    const makers = ['trader-1', 'trader-2', 'trader-3', 'trader-4', 'a-parked', 'nobody']
    expect(makers.map(by)).toEqual([['trader-1'], ['trader-2'], ...Array(4).fill(['trader-1'])])
  })

  test('as a leg of a set goes to who made the first leg, also when another trader made the last', () => {
    const set = { ...details, basket: 'b', orders: [order, order] }
    const first = read({ details: set })
    const last = read({ id: 'e2', executed_by: 'trader-2', details: { ...set, leg: 1 } })
    const alone = read({ id: 'e3', executed_by: 'trader-3' })
    const open = [last, alone, first]
    expect(open.map((one) => keeperOf(one, open).executed_by)).toEqual(['trader-1', 'trader-3', 'trader-1'])
    expect(open.map((one) => siblingsOf(one, open).map(({ id }) => id))).toEqual([['e1'], [], ['e2']])
  })

  test('of another program is left to it', () => {
    expect(readExecutions([{ ...row, details: {} }, { ...row, details: { ...details, leg: 7 } }, null])).toEqual([])
  })
})
