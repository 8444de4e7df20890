import { expect, test } from 'vitest'
import { openStore } from '../../src/store/open.ts'
import { freshDatabase } from '../postgres.ts'
import { startProxy } from '../soak/proxy.ts'

test('a request whose connection is cut is repeated at once on another, however often that happens', async () => {
  await using database = await freshDatabase()
  await using proxy = await startProxy(database.url)
  await using store = await openStore({ env: { DATABASE_URL: proxy.url } })
  await store.health()
  const until = performance.now() + 4_000
  let [calls, slowest, cuts] = [0, 0, 0]

  async function keepCalling(): Promise<void> {
    while (performance.now() < until) {
      const began = performance.now()
      await store.call('read_replies', { p_ids: [] }).catch(() => {}) // cut six times in a row
      slowest = Math.max(slowest, performance.now() - began)
      calls += 1
    }
  }

  const cutting = setInterval(() => {
    if (performance.now() < until - 1_500) cuts += proxy.cut()
  }, 150)
  await Promise.all(Array.from({ length: 12 }, keepCalling))
  clearInterval(cutting)
  // One that waits for what will never come is given up after ten seconds.
  expect({ hasCut: cuts > 20, hasCalled: calls > 100, isFast: slowest < 8_000 }, `slowest ${slowest} ms`).toEqual({
    hasCut: true,
    hasCalled: true,
    isFast: true,
  })
})
