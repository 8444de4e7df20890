import { expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import { again, seed } from '../seed.ts'
import { paces } from './kills.ts'
import { kills } from './stores.ts'

test('a bank on PostgreSQL is killed five times: no money and no message is lost or doubled', { timeout: 240_000 }, async () => {
  await using database = await freshDatabase({ max: 2 })
  expect(await kills({ kind: 'postgres', seed, pace: paces.short, database: database.url }, 5), again).toMatchObject({ violations: [] })
})
