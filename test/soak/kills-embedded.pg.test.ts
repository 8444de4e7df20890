import { expect, test } from 'vitest'
import { again, seed } from '../seed.ts'
import { paces } from './kills.ts'
import { kills } from './stores.ts'

// Five kills here and on PostgreSQL, fifty by `npm run soak`. Beside the suites of PostgreSQL, for it takes as long as they do.
test('a bank on the embedded store is killed five times: no money and no message is lost or doubled', { timeout: 240_000 }, async () => {
  expect(await kills({ kind: 'embedded', seed, pace: paces.short }, 5), again).toMatchObject({ violations: [] })
})
