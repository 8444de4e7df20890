import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import { hostOf } from './host.ts'

let db: Database
beforeAll(async () => {
  db = await freshDatabase({ max: 8 })
})
afterAll(() => db?.[Symbol.asyncDispose]())

const window = { scope: 'team', id: 'trading', every: 'day', window_start: '2026-11-21T00:00:00.000Z' }

test('what many processes have used at once adds up, and each is told what it is in all', async () => {
  const host = hostOf(db.sql)
  const both = [
    { ...window, tokens: 10, usd: 0.25 },
    { ...window, scope: 'agent', id: 'a', tokens: 1, usd: 0 },
  ]
  await Promise.all(Array.from({ length: 40 }, (_, at) => host.call('record_usage', at % 2 === 0 ? both : both.toReversed())))
  const nothing = both.map((one) => ({ ...one, tokens: 0, usd: 0 }))
  expect(await host.call('record_usage', nothing)).toEqual([
    { tokens: 400, usd: 10 },
    { tokens: 40, usd: 0 },
  ])
})

test('a batch with an id is added once, whoever repeats it at the same time, and each is told what there is', async () => {
  const entry = { ...window, id: 'd', tokens: 7, usd: 0.5 }
  const record = async (id: string | null) => {
    const [row] = await db.sql`select public.record_usage(p_batch => ${JSON.stringify([entry])}::text::jsonb, p_request => ${id}) as answer`
    return row?.answer
  }
  const once = randomUUID()
  await Promise.all(Array.from({ length: 8 }, () => record(once)))
  const known = await record(once)
  const other = await record(randomUUID())
  await db.sql`update public.agent_usage_requests set at = at - interval '8 days'`
  await record(null)
  await record(randomUUID())
  expect([known, other, await db.sql`select tokens from public.agent_usage where id = 'd'`]).toEqual([
    [{ tokens: 7, usd: 0.5 }],
    [{ tokens: 14, usd: 1 }],
    [{ tokens: '28' }],
  ])
  expect(await db.sql`select from public.agent_usage_requests`).toHaveLength(1)
})

test('windows of long ago are forgotten', async () => {
  const host = hostOf(db.sql)
  const hourly = { ...window, id: 'b', every: 'hour', tokens: 1, usd: 0 }
  await host.call('record_usage', [{ ...hourly, window_start: '2026-01-01T00:00:00Z' }])
  await host.call('record_usage', [hourly])
  expect(await db.sql`select window_start from public.agent_usage where id = 'b'`).toHaveLength(1)
})

test('what is no usage is refused whole', async () => {
  const host = hostOf(db.sql)
  await expect(
    host.call('record_usage', [
      { ...window, id: 'c', tokens: 1 },
      { ...window, id: 'c', tokens: -5 },
    ]),
  ).rejects.toThrow()
  expect(await db.sql`select from public.agent_usage where id = 'c'`).toHaveLength(0)
})
