import { expect, test } from 'vitest'
import { openStore } from '../../src/store/open.ts'
import { freshDatabase } from '../postgres.ts'
import { startProxy } from '../soak/proxy.ts'

test('a request whose connection is cut is repeated at once on another, however often that happens', async () => {
  await using database = await freshDatabase()
  await using proxy = await startProxy(database.url)
  await using store = await openStore({ env: { DATABASE_URL: proxy.url } })
  await store.health()
  let [calls, rounds, slowest] = [0, 0, 0]
  let isCutting = true

  async function keepCalling(): Promise<void> {
    while (isCutting) {
      const began = performance.now()
      // Cut six times in a row. The one is a batch, the other any request: they go different ways.
      const call = calls % 2 === 0 ? store.call('claim_jobs', { p_batch: [] }) : store.call('read_replies', { p_ids: [] })
      await call.catch(() => {})
      slowest = Math.max(slowest, performance.now() - began)
      calls += 1
    }
  }

  const cutting = setInterval(() => {
    if (proxy.cut() > 0) rounds += 1
    if (rounds >= 20 && calls >= 100) isCutting = false
  }, 150)
  await Promise.all(Array.from({ length: 12 }, keepCalling))
  clearInterval(cutting)
  // One that waits for what will never come is given up after ten seconds.
  expect(slowest).toBeLessThan(9_500)
}, 120_000)
