import { expect, test } from 'vitest'
import { newJob } from '../../src/store/functions/jobs.ts'
import { makeJob } from '../../src/worker/outgoing.ts'

const id = crypto.randomUUID()

test('a job may have what the table takes, and no more', () => {
  const most = 'x'.repeat(200)
  const given = [{ maxAttempts: 1 }, { maxAttempts: 100 }, { priority: 1 }, { priority: 10 }]
  const made = given.map((options) => makeJob(id, most, '{}', options))
  const rows = made.map(({ type, maxAttempts, priority }) => ({ job_type: type, max_attempts: maxAttempts, priority }))
  expect(rows.every((row) => newJob.safeParse(row).success)).toBe(true)
  expect(() => makeJob(id, `${most}x`, '{}')).toThrow('The type of ctx.jobs.create is "xxx')
  expect(() => makeJob(id, 'work', '{}', { maxAttempts: 101 })).toThrow(
    'maxAttempts of ctx.jobs.create is 101, expected a number from 1 to 100',
  )
})

test('a job may be for one agent', () => {
  expect(makeJob(id, 'work', '{}', { target: 'one' })).toEqual({ id, type: 'work', payload: '{}', target: 'one' })
  expect(() => makeJob(id, 'work', '{}', { target: '' })).toThrow('The target of ctx.jobs.create')
})
