import { expect, test } from 'vitest'
import { ActorError, codes } from '../../src/core/errors.ts'

test('an error carries its code, details and cause', () => {
  const cause = new Error('no such file')
  const error = new ActorError('START_FAILED', 'Cannot start "a"', { cause, details: { module: 'a.ts' } })
  expect([error.name, error.code, error.message, error.details, error.cause]).toEqual([
    'ActorError',
    'START_FAILED',
    'Cannot start "a"',
    { module: 'a.ts' },
    cause,
  ])
  expect('cause' in new ActorError('STOPPED', 'Stopped')).toBe(false)
})

test('each code belongs to one family', () => {
  const all = Object.values(codes).flat()
  expect(new Set(all).size).toBe(all.length)
})
