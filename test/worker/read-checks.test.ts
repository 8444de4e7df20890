import { expect, test } from 'vitest'
import { checkRead } from '../../src/worker/read-checks.ts'

const fault = (filter: unknown, options = {}) => {
  try {
    checkRead(filter, options)
    return 'fine'
  } catch (error) {
    return (error as Error).message
  }
}

test('a read may have every condition, order and limit that its types have', () => {
  const filters = [
    {},
    { a: 'x', b: 1, c: true, d: null, e: new Date(0) },
    { a: { neq: null }, b: { gt: 1, lte: 2 }, c: { in: ['x', 2] }, d: { in: [] } },
  ]
  const options = [{}, { order: undefined, limit: undefined }, { order: [{ by: 'a' }, { by: 'b', descending: true }], limit: 1_000 }]
  expect([...filters.map((filter) => fault(filter)), ...options.map((one) => fault({}, one))]).toEqual(Array(6).fill('fine'))
})

test('a read that is none is refused with the place, what is there, and what is expected', () => {
  const condition = 'a text, a number, true, false or null, or an object of neq, gt, gte, lt, lte, in'
  expect([
    fault('a'),
    fault({ status: undefined }),
    fault({ status: ['x'] }),
    fault({ status: {} }),
    fault({ status: { like: 'x%' } }),
    fault({ status: { in: 'x' } }),
    fault({ status: { gt: undefined } }),
    fault({}, { order: 'status' }),
    fault({}, { order: ['status', {}] }),
    fault({}, { order: [{}] }),
    fault({}, { limit: 'all' }),
    fault({}, { limit: 5_000 }),
  ]).toEqual([
    'The filter of ctx.db.read is "a", expected an object of conditions by column',
    `The filter.status of ctx.db.read is undefined, expected ${condition}`,
    `The filter.status of ctx.db.read is [ 'x' ], expected ${condition}`,
    `The filter.status of ctx.db.read is {}, expected ${condition}`,
    `The filter.status of ctx.db.read is { like: 'x%' }, expected ${condition}`,
    "The filter.status of ctx.db.read is { in: 'x' }, expected a list of values for in",
    'The filter.status of ctx.db.read is { gt: undefined }, expected a text, a number, true, false or null for gt',
    'The order of ctx.db.read is "status", expected a list like [{ by: "created_at", descending: true }]',
    'The order[0] of ctx.db.read is "status", expected an object like { by: "created_at" }',
    'The order[0].by of ctx.db.read is undefined, expected a text of 1 to 300 characters',
    'The limit of ctx.db.read is "all", expected a number from 0 to 1000',
    'The limit of ctx.db.read is 5000, expected a number from 0 to 1000',
  ])
})
