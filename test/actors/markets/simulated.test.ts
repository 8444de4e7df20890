import { describe, expect, test } from 'vitest'
import { createSimulated } from '../../../actors/lib/markets/simulated.ts'
import { strategies } from '../../../actors/lib/markets/strategies/index.ts'
import { view } from './build.ts'

describe('simulated', () => {
  const start = Date.UTC(2026, 10, 21)

  test('is the same for a seed, whoever asks, and another for another', async () => {
    const look = async (seed: number) => {
      const source = createSimulated({ seed, now: () => start })
      const { items } = await source.markets()
      const books = await source.books(items.toReversed().flatMap(({ tokens }) => tokens))
      return JSON.stringify([items, [...books.values()].toSorted((one, other) => (one.token < other.token ? -1 : 1))])
    }
    expect(await look(1)).toBe(await look(1))
    expect(await look(1)).not.toBe(await look(2))
  })

  test('everything says that it is simulated, and makes sense', async () => {
    const source = createSimulated({ seed: 3, now: () => start })
    const { items } = await source.markets()
    const books = [...(await source.books(items.flatMap(({ tokens }) => tokens))).values()]
    const isSorted = (prices: readonly number[], sign: number) =>
      prices.every((price, at) => at === 0 || sign * (price - (prices[at - 1] ?? 0)) > 0)
    expect([items.length, books.length, new Set([...items, ...books].map((one) => one.source))]).toEqual([60, 120, new Set(['simulated'])])
    expect(items.every(({ question, odd }) => question.startsWith('Simulated') && odd.length === 0)).toBe(true)
    expect(
      books.every(({ bids, asks, tick }) => {
        const prices = [...bids, ...asks].map(({ price }) => price)
        const isUncrossed = (bids[0]?.price ?? 0) < (asks[0]?.price ?? 10_000)
        const isOnGrid = prices.every((price) => price > 0 && price < 10_000 && price % tick === 0)
        return (
          isUncrossed &&
          isOnGrid &&
          isSorted(
            bids.map(({ price }) => price),
            -1,
          ) &&
          isSorted(
            asks.map(({ price }) => price),
            1,
          )
        )
      }),
    ).toBe(true)
    expect((await source.health()).detail).toContain('SIMULATED')
  })

  test('a market lives, ends, and can be asked about afterwards; exactly one of an event wins', async () => {
    let at = start
    const source = createSimulated({ seed: 4, now: () => at })
    const { items } = await source.markets()
    const { items: events } = await source.events()
    at += 5 * 86_400_000
    const after = await Promise.all(items.map(({ id }) => source.market(id)))
    const winners = await Promise.all(
      events.map(async ({ markets }) => Promise.all(markets.map(async ({ id }) => (await source.market(id))?.resolution))),
    )
    expect(after.every((market) => market?.closed && ['YES', 'NO'].includes(market.resolution))).toBe(true)
    expect(winners.map((ends) => ends.filter((end) => end === 'YES').length)).toEqual([1, 1, 1])
    const ids = new Set(items.map(({ id }) => id))
    expect((await source.markets()).items.filter(({ id }) => ids.has(id))).toEqual([])
    expect(await source.market('9123456789999')).toBeUndefined()
  })

  test('has something to trade for whoever knows more, and its opinions are right more often than not', async () => {
    let at = start
    const source = createSimulated({ seed: 5, now: () => at, markets: 200, events: 0 })
    const { items } = await source.markets({ limit: 200 })
    const books = [...(await source.books(items.flatMap(({ tokens }) => tokens))).values()]
    const opinions = Object.fromEntries(await Promise.all(items.map(async ({ id }) => [id, await source.opinion(id)])))
    const seen = { ...view(books, {}, opinions), trust: { now: at, maxAge: 1_000, drift: 300 } }
    const { model_opinion } = strategies
    const found = items.flatMap((one) => (model_opinion.scope === 'market' ? [model_opinion.find(one, seen)] : []))
    at += 5 * 86_400_000
    const ends = await Promise.all(items.map(async ({ id }) => ((await source.market(id))?.resolution === 'YES' ? 1 : 0)))
    const brier = (of: (at: number) => number) => items.reduce((sum, _, at) => sum + (of(at) - (ends[at] ?? 0)) ** 2, 0) / items.length
    const [opinion, market] = [brier((at) => opinions[items[at]?.id ?? '']?.probability ?? 0.5), brier((at) => items[at]?.shown[0] ?? 0.5)]
    expect(found.filter(({ kind }) => kind === 'opportunity').length).toBeGreaterThan(5)
    expect(opinion).toBeLessThan(market)
  })

  test('stands still when told to', async () => {
    let at = start
    const source = createSimulated({ seed: 6, now: () => at, interval: 0 })
    const before = await source.markets()
    at += 86_400_000
    expect([await source.markets(), source.now()]).toEqual([before, Date.UTC(2026, 0, 1, 2)])
  })
})
