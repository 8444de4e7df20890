import { expect, test } from 'vitest'
import { again, seed } from '../seed.ts'
import { runTradeKills } from './trade-kills.ts'

// Five kills here and on PostgreSQL, fifty by `npm run soak:trades`.
test('traders on the embedded store are killed five times: every trade, its profit and the exposure are as without', {
  timeout: 480_000,
}, async () => {
  const report = await runTradeKills({ seed, kills: 5 })
  expect(report, again).toMatchObject({ violations: [] })
  expect(report.executions).toBeGreaterThanOrEqual(100)
})
