import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TroupeOptions } from '../../../src/host/troupe-types.ts'
import type { Ground, TestTeam } from '../../runtime/team.ts'
import { teamOn } from '../../runtime/team.ts'
import { now, rawMarket } from '../markets/build.ts'

const actors = join(import.meta.dirname, '../../../actors')

/** A team of the agents that users have. */
export function tradingTeam(
  ground: Ground,
  agents: readonly object[],
  env: Readonly<Record<string, string>> = {},
  options: Partial<TroupeOptions> = {},
): TestTeam {
  return teamOn(ground, agents, { actors, env, poll: { min: 200, max: 400 }, ...options })
}

type Changes = Readonly<Record<string, unknown>>

/** Records markets, each with a deep book around 0.40, and gives the name of that source. */
export async function recordMarkets(folder: string, markets: readonly Changes[]): Promise<string> {
  await mkdir(folder, { recursive: true })
  const updatedAt = new Date(now).toISOString()
  const raw = markets.map((changes, at) => {
    const id = String(101 + at)
    return rawMarket({ id, clobTokenIds: JSON.stringify([`${id}1`, `${id}2`]), updatedAt, ...changes })
  })
  const books = raw.flatMap(({ id }) => [
    bookOf(`${id}1`, { bids: ['0.40', '0.39'], asks: ['0.41', '0.42'] }),
    bookOf(`${id}2`, { bids: ['0.59', '0.58'], asks: ['0.60', '0.61'] }),
  ])
  await writeFile(join(folder, 'markets.json'), JSON.stringify(raw))
  await writeFile(join(folder, 'books.json'), JSON.stringify(books))
  return `replay:${folder}`
}

function bookOf(token: string, { bids, asks }: { bids: readonly string[]; asks: readonly string[] }) {
  const level = (price: string) => ({ price, size: '500' })
  return {
    ...{ asset_id: token, timestamp: String(now), hash: token, tick_size: '0.01', min_order_size: '5' },
    bids: bids.map(level),
    asks: asks.map(level),
  }
}

/** A model's answer, as text. */
export function answer(probability: number, changes: Changes = {}): string {
  const evidence = [
    { url: 'https://www.reuters.com/rain', date: '2026-07-20', claim: 'It will rain.' },
    { url: 'https://apnews.com/weather/1', date: '2026-07-22', claim: 'Clouds.' },
  ]
  return JSON.stringify({ evidence, reasoning: 'It rains often.', probability, confidence: 0.9, ...changes })
}
