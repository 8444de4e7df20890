import { expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import { again, seed } from '../seed.ts'
import { runTradeKills } from './trade-kills.ts'

test('traders on PostgreSQL are killed five times: every trade, its profit and the exposure are as without', {
  timeout: 480_000,
}, async () => {
  const report = await runTradeKills({ seed, kills: 5, database: () => freshDatabase({ max: 2 }) })
  expect(report, again).toMatchObject({ violations: [] })
  expect(report.executions).toBeGreaterThanOrEqual(100)
})
