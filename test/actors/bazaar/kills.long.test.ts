import { expect, test } from 'vitest'
import { again, seed } from '../../seed.ts'
import { runMarketKills } from '../../soak/market-kills.ts'

// Five kills here, thirty by `npm run soak`.
test('a marketplace team is killed five times: each job that was won is delivered, none twice', { timeout: 300_000 }, async () => {
  expect(await runMarketKills({ kills: 5, seed }), again).toMatchObject({ violations: [] })
})
