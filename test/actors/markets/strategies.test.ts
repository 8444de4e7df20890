import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Book } from '../../../actors/lib/markets/book.ts'
import { parseEvent, parseMarket } from '../../../actors/lib/markets/gamma.ts'
import type { Market, MarketEvent } from '../../../actors/lib/markets/market.ts'
import { readRecording } from '../../../actors/lib/markets/recording.ts'
import { createReplay } from '../../../actors/lib/markets/replay.ts'
import { completeSet } from '../../../actors/lib/markets/strategies/complete-set.ts'
import { modelOpinion } from '../../../actors/lib/markets/strategies/model-opinion.ts'
import { completeLegs, negRisk } from '../../../actors/lib/markets/strategies/neg-risk.ts'
import type { Finding, Opinion, Strategy } from '../../../actors/lib/markets/strategies/strategy.ts'
import { hasRecorded, recorded } from '../../recorded.ts'
import { runs } from '../../seed.ts'
import { book, market, now, rawMarket, recordedMarkets, view } from './build.ts'

function find(strategy: Strategy, what: Market | MarketEvent, at: Parameters<typeof view>): Finding {
  return strategy.scope === 'market' ? strategy.find(what as Market, view(...at)) : strategy.find(what as MarketEvent, view(...at))
}

const brief = (finding: Finding) =>
  finding.kind === 'pass'
    ? [finding.reason, finding.edge?.toFixed(4)]
    : [
        finding.legs.map(({ side, shares, limit }) => `${shares} ${side} up to ${limit}`),
        finding.edge.toFixed(4),
        finding.cost,
        finding.fee,
      ]

describe('complete set', () => {
  const yes = book('1011', {
    asks: [
      ['0.41', '4'],
      ['0.44', '100'],
    ],
  })
  const no = (price: string, changes: Parameters<typeof book>[1] = {}) => book('1012', { asks: [[price, '50']], ...changes })
  const found = (books: readonly Book[], changes: Readonly<Record<string, unknown>> = {}, stake = 100_000_000) =>
    brief(find(completeSet, market({ bestBid: undefined, ...changes }), [books, { minEdge: 0.02, stake }]))

  test('buys both sides while a pair is worth it, through every level and after fees', () => {
    const fees = { feesEnabled: true, feeSchedule: { rate: 0.04, exponent: 1 } }
    // 50 pairs: 4 × 0.41 + 46 × 0.44 + 50 × 0.53 = 48.38; the average pair costs 0.9676.
    expect(found([yes, no('0.53')])).toEqual([['5000 YES up to 4400', '5000 NO up to 5300'], '0.0324', 48_380_000, 0])
    // A pair of the second level costs 0.97 and 0.0198 of fees; only the cheap level still leaves 0.02, and 4 pairs cannot be sold again.
    expect(found([yes, no('0.53')], fees)).toEqual(['below_minimum', '0.0404'])
    expect(found([yes, no('0.53')], {}, 10_000_000)).toEqual([
      ['1043 YES up to 4400', '1043 NO up to 5300'],
      expect.any(String),
      expect.any(Number),
      0,
    ])
  })

  test('is none with a leg missing, old, of another moment, or too dear', () => {
    expect([
      found([yes]),
      found([yes, no('0.53', { asks: [] })]),
      found([yes, { ...no('0.53'), seen: now - 60_000 }]),
      found([yes, no('0.53', { at: now - 5_000, asks: [['0.53', '50']] })]),
      found([yes, no('0.53', { asks: [['0.53', '3']] })]),
      found([yes, no('0.58')]),
      found([yes, no('0.53')], { closed: true }),
      found([yes, no('0.53')], {}, 4_000_000),
    ]).toEqual([
      ['no_book', undefined],
      ['one_sided', undefined],
      ['stale_book', undefined],
      ['snapshots_differ', undefined],
      ['thin_book', undefined],
      ['edge_below_threshold', '0.0040'],
      ['closed', undefined],
      ['below_minimum', '0.0583'],
    ])
  })
})

function eventOf(asks: readonly string[], changes: readonly Record<string, unknown>[] = []): MarketEvent {
  const markets = asks.map((_, at) =>
    rawMarket({
      ...{
        id: `${200 + at}`,
        clobTokenIds: `["${200 + at}1", "${200 + at}2"]`,
        negRisk: true,
        negRiskOther: at === asks.length - 1,
        bestBid: undefined,
      },
      ...changes[at],
    }),
  )
  const event = parseEvent({ id: '2', slug: 'who-wins', title: 'Who wins?', negRisk: true, markets }, 'simulated')
  if (event === undefined) throw new Error('not an event')
  return event
}

const asksOf = (asks: readonly string[], side: 1 | 2 = 1, size = '100') =>
  asks.map((ask, at) => book(`${200 + at}${side}`, { asks: [[ask, size]] }))

describe('neg-risk', () => {
  const policy = { minEdge: 0.05, stake: 100_000_000 }
  const cheap = ['0.30', '0.40', '0.20']

  test('buys every outcome of a complete event for less than the dollar that one pays', () => {
    expect(brief(find(negRisk, eventOf(cheap), [asksOf(cheap), policy]))).toEqual([
      ['10000 YES up to 3000', '10000 YES up to 4000', '10000 YES up to 2000'],
      ...['0.1000', 90_000_000, 0],
    ])
  })

  test('buys NO of every outcome for less than what all but one pay', () => {
    const dear = ['0.60', '0.65', '0.60']
    expect(brief(find(negRisk, eventOf(dear), [asksOf(dear, 2, '30'), policy]))).toEqual([
      ['3000 NO up to 6000', '3000 NO up to 6500', '3000 NO up to 6000'],
      ...['0.1500', 55_500_000, 0],
    ])
  })

  test('leaves out what has lost already, and needs depth on every other leg', () => {
    const lost = eventOf(cheap, [{ closed: true, outcomePrices: '["0", "1"]' }])
    const thin = [...asksOf(cheap).slice(0, 2), book('2021', { asks: [['0.20', '1']] })]
    expect([
      completeLegs(lost)?.map(({ id }) => id),
      brief(find(negRisk, eventOf(cheap), [thin, policy])),
      brief(find(negRisk, eventOf(cheap), [asksOf(cheap).slice(1), policy])),
    ]).toEqual([
      ['201', '202'],
      ['thin_book', undefined],
      ['no_book', undefined],
    ])
  })

  test('never takes an event of which anything is missing or uncertain', () => {
    const whole = eventOf(cheap)
    const incomplete: MarketEvent[] = [
      { ...whole, unread: 1 },
      { ...whole, negRisk: false },
      eventOf(cheap, [{}, {}, { negRiskOther: false }]),
      eventOf(cheap, [{ active: false }]),
      eventOf(cheap, [{ acceptingOrders: false }]),
      eventOf(cheap, [{ closed: true, outcomePrices: '["1", "0"]' }]),
      eventOf(cheap, [{ closed: true, outcomePrices: '["0.5", "0.5"]' }]),
      eventOf(cheap, [{ closed: true }]),
      eventOf(cheap, [{ umaResolutionStatus: 'proposed' }]),
      eventOf(cheap, [{ bestAsk: Number.NaN }]),
      eventOf(cheap, [{ feesEnabled: true }]),
    ]
    expect(incomplete.map((event) => brief(find(negRisk, event, [asksOf(cheap), policy])))).toEqual(
      Array(incomplete.length).fill(['event_incomplete', undefined]),
    )
  })

  test('a complete event is bought only below its payout, whatever the prices', () => {
    const asks = fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 2, maxLength: 6 })
    fc.assert(
      fc.property(asks, fc.integer({ min: 0, max: 7 }), (cents, missing) => {
        const prices = cents.map((cent) => (cent / 100).toFixed(2))
        const event = eventOf(prices)
        const holed = { ...event, markets: event.markets.filter((_, at) => at !== missing), unread: missing < cents.length ? 1 : 0 }
        const found = find(negRisk, holed, [asksOf(prices), { minEdge: 0.0099, stake: 1e12 }])
        const isFree = cents.reduce((sum, cent) => sum + cent, 0) <= 99
        expect(found.kind).toBe(isFree && missing >= cents.length ? 'opportunity' : 'pass')
      }),
      runs(200),
    )
  })

  test.skipIf(!hasRecorded)('the recorded event whose asks add up to 0.716 is not arbitrage: a team is missing', () => {
    const groups = Map.groupBy(
      recordedMarkets().map((entry) => parseMarket(entry, 'replay')),
      (one) => `${one?.group?.slug} ${one?.updatedAt?.toString().slice(0, 6)}`,
    )
    const league =
      [...groups.entries()].find(([name]) => name.startsWith('champions-league-winner-2025'))?.[1]?.filter((one) => one !== undefined) ?? []
    const legs = [...new Map(league.map((one) => [one.id, one])).values()]
    const sum = legs.reduce((total, { quote }) => total + (quote.ask ?? 0), 0)
    // Even if somebody took this part of a page for the event itself, and every leg had depth.
    const event: MarketEvent = { id: '1', slug: '', title: '', negRisk: true, source: 'replay', markets: legs, unread: 0 }
    const books = legs.map(({ tokens, quote }) =>
      book(tokens[0] ?? '', { asks: [[`${(quote.ask ?? 0) / 10_000}`, '1000']], tick: '0.001' }),
    )
    expect([legs.length, sum, brief(find(negRisk, event, [books, { minEdge: 0.01 }]))]).toEqual([3, 7_160, ['event_incomplete', undefined]])
  })
})

describe('model opinion', () => {
  const yes = book('1011', {
    bids: [['0.40', '500']],
    asks: [
      ['0.41', '5'],
      ['0.43', '500'],
    ],
  })
  const no = book('1012', { bids: [['0.57', '500']], asks: [['0.60', '500']] })
  const found = (opinion: Opinion | undefined, books = [yes, no], changes: Readonly<Record<string, unknown>> = {}) =>
    brief(find(modelOpinion, market(changes), [books, {}, opinion && { '101': opinion }]))
  const sure = (probability: number) => ({ probability, confidence: 0.8 })

  test('buys the side that is worth more than its own book asks, at what the book really costs', () => {
    // 5 USD buy 5 at 0.41 and 6.86 at 0.43: 4.9998 for 11.86 shares is 0.4216 a share; and 8.33 NO at 0.60.
    expect(found(sure(0.6))).toEqual([['1186 YES up to 4300'], '0.1784', 4_999_800, 0])
    expect(found(sure(0.25))).toEqual([['833 NO up to 6000'], '0.1500', 4_998_000, 0])
  })

  test('takes fees from the edge', () => {
    // 0.07 × 0.6 × 0.4 = 0.0168 a share.
    const fees = { feesEnabled: true, feeSchedule: { rate: 0.07, exponent: 1 } }
    expect(found(sure(0.29), [yes, no])).toEqual([['833 NO up to 6000'], '0.1100', 4_998_000, 0])
    expect(found(sure(0.29), [yes, no], fees)).toEqual(['edge_below_threshold', '0.0932'])
  })

  test('has no edge where the price is right, however far from a half', () => {
    const low = [
      book('1011', { bids: [['0.03', '900']], asks: [['0.04', '900']] }),
      book('1012', { bids: [['0.96', '900']], asks: [['0.97', '900']] }),
    ]
    expect(found(sure(0.035), low, { bestBid: 0.03, bestAsk: 0.04 })).toEqual(['edge_below_threshold', '-0.0050'])
  })

  test('says why not', () => {
    expect(
      [
        found(undefined),
        found(sure(Number.NaN)),
        found(sure(1)),
        found({ probability: 0.6, confidence: 0.69 }),
        found({ probability: 0.6, confidence: Number.NaN }),
        found(sure(0.6), [yes]),
        found(sure(0.6), [{ ...yes, seen: now - 31_000 }, no]),
        found(sure(0.6), [yes, book('1012', { asks: [['0.58', '9']] })]),
        found(sure(0.6), [yes, no], { bestBid: 0.8, bestAsk: 0.81 }),
        found(sure(0.9), [book('1011', { asks: [['0.41', '4']] }), no]),
        found(sure(0.6), [yes, no], { archived: true }),
      ].map(([reason]) => reason),
    ).toEqual([
      ...[
        'no_opinion',
        'no_opinion',
        'no_opinion',
        'low_confidence',
        'low_confidence',
        'no_book',
        'stale_book',
        'books_disagree',
        'off_quote',
        'thin_book',
        'archived',
      ],
    ])
  })
})

test.skipIf(!hasRecorded)(
  'opportunities in a recording are the same each time, and only those that somebody has an opinion on',
  async () => {
    const recording = readRecording(recorded('polymarket-gamma-2025-05') ?? '')
    const at = Date.parse('2025-05-07T18:00:00Z')
    const opinions = Object.fromEntries(['507300', '507285', '531202'].map((id) => [id, { probability: 0.5, confidence: 0.9 }]))
    async function scan(): Promise<string[]> {
      const source = createReplay({ recording, now: () => at })
      const { items } = await source.markets()
      const books = [...(await source.books(items.flatMap(({ tokens }) => tokens))).values()]
      const seen = { ...view(books, {}, opinions), trust: { now: at, maxAge: 30_000, drift: 300 } }
      return items.flatMap((one) =>
        [completeSet, modelOpinion].flatMap((strategy) => {
          const found = strategy.scope === 'market' ? strategy.find(one, seen) : undefined
          return found?.kind === 'opportunity' ? [`${one.id} ${JSON.stringify(found)}`] : []
        }),
      )
    }
    const [first, second] = [await scan(), await scan()]
    expect(first).toEqual(second)
    expect(first.length).toBeGreaterThan(0)
    expect(first.every((line) => line.includes('model_opinion'))).toBe(true)
  },
)
