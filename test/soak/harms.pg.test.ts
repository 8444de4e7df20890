import { expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import { again, seed } from '../seed.ts'
import { type Harm, harms } from './harms.ts'
import { outages } from './outages.ts'
import { harm, outage } from './stores.ts'

test('accounts die in every way there is: their neighbours live on and answer, and nothing is lost', { timeout: 240_000 }, async () => {
  await using database = await freshDatabase({ max: 2 })
  const run = { kind: 'postgres', seed, database: database.url } as const
  expect(await harm(run, Object.keys(harms) as Harm[]), again).toMatchObject({ violations: [] })
})

test('the store is stopped, frozen and cut off: nobody is restarted, and nothing is lost', { timeout: 240_000 }, async () => {
  expect(await outage({ seed }, outages), again).toMatchObject({ violations: [] })
})
