import { expect, test } from 'vitest'
import type { Execution } from '../../../actors/lib/trading/execution.ts'
import { newestOpinions } from '../../../actors/lib/trading/opinions.ts'
import type { TraderCtx } from '../../../actors/lib/trading/trader-args.ts'

const source = 'polymarket'
const opinion = (market_id: string, discovered_at: number, probability: number, side = 'YES') => {
  return { market_id, discovered_at, side, details: { source, probability } }
}

/** What is believed of trades in these markets, by a store that gives a thousand rows at most. */
async function believed(rows: readonly ReturnType<typeof opinion>[], markets: readonly string[]) {
  const read = async (_: string, { market_id }: { market_id: { in: readonly string[] } }) =>
    rows
      .filter((row) => market_id.in.includes(row.market_id))
      .toSorted((one, other) => other.discovered_at - one.discovered_at)
      .slice(0, 1_000)
  const trades = markets.map((market_id) => ({ market_id, side: 'YES', details: { source, probability: 0.5 } }) as unknown as Execution)
  const of = await newestOpinions(trades, { db: { read } } as unknown as Pick<TraderCtx, 'db'>)
  return trades.map(of)
}

test('what is believed of a market is the newest that was said of it, for its side', async () => {
  const said = [opinion('101', 1, 0.9), opinion('101', 2, 0.3, 'NO'), opinion('102', 1, 0.6)]
  expect(await believed(said, ['101', '102', '103'])).toEqual([0.7, 0.6, 0.5])
})

test('the opinion of a quiet market is found behind a thousand newer ones of others', async () => {
  const lively = Array.from({ length: 1_500 }, (_, at) => opinion(at % 2 === 0 ? '101' : '102', 10 + at, 0.8))
  expect(await believed([...lively, opinion('103', 1, 0.2)], ['101', '102', '103'])).toEqual([0.8, 0.8, 0.2])
})
