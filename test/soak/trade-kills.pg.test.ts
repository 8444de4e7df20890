import { beforeAll, expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import { again, seed } from '../seed.ts'
import { type Facts, runTradeKills, tradeCalmly } from './trade-kills.ts'

const run = { seed, most: 60 }
const limit = { timeout: 480_000 }
const database = () => freshDatabase({ max: 2 })

/** On either store the same trades are made. */
let calm: Facts
beforeAll(async () => {
  calm = await tradeCalmly({ ...run, database })
}, limit.timeout)

// Three kills on each store, fifty by `npm run soak:trades`.
test('traders on PostgreSQL are killed three times: every trade, its profit and the exposure are as without', limit, async () => {
  const report = await runTradeKills({ ...run, kills: 3, calm, database })
  expect(report, again).toMatchObject({ violations: [] })
  expect(report.executions).toBeGreaterThanOrEqual(50)
})

test('traders on the embedded store are killed three times: every trade, its profit and the exposure are as without', limit, async () => {
  const report = await runTradeKills({ ...run, kills: 3, calm })
  expect(report, again).toMatchObject({ violations: [] })
  expect(report.executions).toBeGreaterThanOrEqual(50)
})
