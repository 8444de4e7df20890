import { expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import { again, seed } from '../seed.ts'
import { leases, pair } from './stores.ts'

/** Ms for a frozen holder's locks to be freed, and for a busy machine. */
const margin = 15_000

test('of two processes one is killed or frozen under load: the other goes on, and nothing happens twice', {
  timeout: 240_000,
}, async () => {
  await using database = await freshDatabase({ max: 2 })
  const { violations, takeovers } = await pair({ seed, load: 30, database: database.url })
  const late = takeovers.filter(({ first }) => first > leases.agents + margin)
  expect({ violations, late }, again).toEqual({ violations: [], late: [] })
})
