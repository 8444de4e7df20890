import { describe, expect, test } from 'vitest'
import { type Recording, readRecording } from '../../../actors/lib/markets/recording.ts'
import { createReplay, spanOf } from '../../../actors/lib/markets/replay.ts'
import { hasRecorded, recorded } from '../../recorded.ts'

describe.skipIf(!hasRecorded)('replay', () => {
  const folder = recorded('polymarket-gamma-2025-05')
  const recording = folder === undefined ? undefined : readRecording(folder)

  test('shows nothing before it was recorded, and how a market ended only once it had', async () => {
    let at = Date.parse('2025-05-05T18:00:00Z')
    const source = createReplay({ recording: recording as Recording, now: () => at })
    const seen: unknown[] = []
    for (const time of [
      '2025-05-05T18:00:00Z',
      '2025-05-05T18:20:00Z',
      '2025-05-07T22:00:00Z',
      '2025-05-08T01:46:07Z',
      '2025-05-08T01:46:08Z',
    ]) {
      at = Date.parse(time)
      const arsenal = await source.market('507285')
      seen.push([(await source.markets({ limit: 1_000 })).items.length, arsenal?.closed, arsenal?.resolution, arsenal?.quote.ask])
    }
    expect(seen).toEqual([
      [0, undefined, undefined, undefined],
      [90, false, 'open', 1_200],
      [expect.any(Number), false, 'open', expect.any(Number)],
      [expect.any(Number), false, 'open', expect.any(Number)],
      [expect.any(Number), true, 'NO', expect.any(Number)],
    ])
  })

  test('makes one level from a quote where no book was recorded, and says so', async () => {
    const source = createReplay({ recording: recording as Recording, now: () => Date.parse('2025-05-05T18:20:00Z') })
    const arsenal = await source.market('507285')
    const books = [...(await source.books(arsenal?.tokens ?? [])).values()]
    expect(books.map(({ depth, bids, asks, source: from }) => [from, depth, bids, asks])).toEqual([
      ['replay', 'quoted', [{ price: 1_000, shares: 10_000 }], [{ price: 1_200, shares: 10_000 }]],
      ['replay', 'quoted', [{ price: 8_800, shares: 10_000 }], [{ price: 9_000, shares: 10_000 }]],
    ])
  })

  test('shows recorded books, their mirrors and whole events', async () => {
    const whole = readRecording(recorded('pmvl-recorded-2026') ?? '')
    const source = createReplay({ recording: whole, now: () => spanOf(whole).ends })
    const hormuz = await source.market('2774056')
    const [yes, no] = [...(await source.books(hormuz?.tokens ?? [])).values()]
    expect([yes?.depth, yes?.asks.length, no?.bids.length, no?.asks[0], (await source.events()).items.map(({ slug }) => slug)]).toEqual([
      ...['full', expect.any(Number), yes?.asks.length, { price: 9_400, shares: 100_885_17 }],
      ['kraken-ipo-in-2025', 'macron-out-in-2025'],
    ])
  })

  test('reads price histories up to its own time', async () => {
    const hourly = readRecording(recorded('polymarket-hourly-resolved') ?? '')
    const token = '100956831542359738430417943946810501101213060494810573893628126673226680525220'
    const source = createReplay({ recording: hourly, now: () => Date.parse('2025-06-10T02:30:00Z') })
    expect([hourly.histories.size, (await source.history(token, { interval: '6h' })).map(({ price }) => price)]).toEqual([
      500,
      [0.8865, 0.881, 0.912, 0.911],
    ])
  })
})
