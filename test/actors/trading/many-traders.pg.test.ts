import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createTroupe } from '../../../src/host/troupe.ts'
import { openBackend, storeOver } from '../../../src/store/open.ts'
import { freshDatabase } from '../../postgres.ts'
import { marketOf, opportunities } from '../../soak/trade-feed.ts'
import { openFolder } from './folder.ts'

const root = join(import.meta.dirname, '../../..')
const count = 500

/** So many opportunities, several for each market: whoever is late finds its limit used up. */
async function crowd(): Promise<readonly object[]> {
  const found = (await opportunities(5)) as { readonly opportunity: object }[]
  return Array.from({ length: count }, (_, at) => {
    const one = found[at % found.length]
    return { ...one, opportunity: { ...one?.opportunity, id: randomUUID(), dedupe_key: `crowd:${at}` } }
  })
}

test('twenty traders on five hundred opportunities keep every limit, and stop when trading is switched off', {
  timeout: 300_000,
}, async () => {
  await using database = await freshDatabase({ max: 2 })
  await using folder = await openFolder()
  const { sql } = database
  const backend = await openBackend({ env: { DATABASE_URL: database.url }, folder: folder.path })
  await using store = storeOver(backend)
  const configure = (key: string, value: unknown) =>
    sql`update public.system_config set value = ${sql.json(value as never)} where key = ${key}`
  await configure('max_daily_exposure', 200)
  for (const one of await crowd()) await store.call('publish_opportunity', { p_args: one as never })
  const args = { market: marketOf(5), bankroll: 1_000_000, markInterval: 3_600_000 }
  const agents = [{ id: 'trader', type: 'trader', replicas: 20, args }]
  const moments = new Map([200, count].map((at) => [at, Promise.withResolvers<void>()]))
  const until = (at: number) => moments.get(at)?.promise
  let handled = 0
  const troupe = createTroupe({
    ...{
      config: { teams: [{ id: 'team', agents }] },
      root,
      actors: join(root, 'actors'),
      env: {},
      folder: folder.path,
      store,
      watches: false,
    },
    onEvent(event) {
      if (event.name !== 'turn:committed' || event.type !== 'execute_trade') return
      handled += 1
      moments.get(handled)?.resolve()
    },
  })
  await troupe.start()
  const used = async () => {
    const [all] = await sql`select coalesce(sum(amount), 0)::float as today, count(*)::int as trades, max(created_at) as last,
      (select max(used)::float from (select sum(amount) as used from public.trade_executions where status <> 'failed' group by market_id) m) as market
      from public.trade_executions where status <> 'failed'`
    return all as { today: number; trades: number; last: Date; market: number }
  }
  await until(200)
  const full = await used()
  expect(full.today).toBeLessThanOrEqual(200)
  expect(full.today).toBeGreaterThan(190)
  await configure('max_daily_exposure', 100_000)
  await expect.poll(async () => (await used()).trades, { timeout: 60_000 }).toBeGreaterThan(full.trades)
  const [{ at: off } = {}] =
    await sql`update public.system_config set value = 'false' where key = 'trading_enabled' returning clock_timestamp() as at`
  await until(count)
  await troupe.stop({ grace: 20_000 })
  const end = await used()
  expect(end.market).toBeLessThanOrEqual(5)
  expect(end.last.getTime()).toBeLessThanOrEqual((off as Date).getTime())
  const jobs = await sql`select status, count(*)::int as count from public.agent_jobs group by 1`
  expect([...jobs]).toEqual([{ status: 'completed', count }])
})
