import { expect, test } from 'vitest'
import { defaults, faultsOf } from '../../src/core/spec.ts'
import { simulate } from './simulate.ts'
import { done, otp, start, stop } from './specs.ts'

test('1 starts children in order, each after the one before it is ready, and only then answers', () => {
  const team = simulate(otp('a b d'), { part: () => ({ startIn: 10 }) })
  const reply = team.call(start)
  team.run(29)
  const before = { ev: team.timed(), reply: reply(), list: team.list() }
  team.run(1)
  expect({ before, ev: team.timed(), reply: reply() }).toEqual({
    before: { ev: '10 start a, 20 start b', reply: undefined, list: 'a running, b running, d starting' },
    ev: '30 start d',
    reply: done,
  })
})

test('2 a child that cannot start fails the start: the others are stopped, nothing is retried', () => {
  const team = simulate(otp('a b d e', { intensity: { max: 10, within: 5_000 } }))
  team.script('d', { start: 'fail' })
  const reply = team.ask(start)
  expect({ reply, ev: team.ev(), exit: team.exit }).toEqual({
    reply: { kind: 'failed', id: 'd', exit: 'start_failed', detail: 'no luck' },
    ev: 'start a, start b, fail d, stop b, stop a',
    exit: 'start_failed',
  })
})

test('3 a thread that dies while it starts fails the start in the same way', () => {
  const team = simulate(otp('a b'))
  team.script('b', { start: 'hang' })
  const reply = team.call(start)
  team.run()
  team.die('b', 'normal')
  expect({ reply: reply(), ev: team.ev(), exit: team.exit }).toEqual({
    // It ended well, but before it was ready.
    reply: { kind: 'failed', id: 'b', exit: 'start_failed', detail: undefined },
    ev: 'start a, die b, stop a',
    exit: 'start_failed',
  })
})

test('4 a child that has nothing to do is kept without a thread, unless it is temporary', () => {
  const team = simulate(otp('a b:temporary d'))
  team.script('a', { start: 'ignore' })
  team.script('b', { start: 'ignore' })
  const reply = team.ask(start)
  expect([reply, team.list()]).toEqual([done, 'a stopped, d running'])
})

test('5 two children of the same id are rejected before anything starts', () => {
  const spec = otp('a b a')
  const team = simulate(spec)
  const reply = team.ask(start)
  expect({ reply, ev: team.ev() }).toEqual({ reply: { kind: 'invalid', faults: ['Team "team" has more than one child "a"'] }, ev: '' })
  expect(faultsOf(spec)).toHaveLength(1)
})

test('6 the defaults are those of config.md (where OTP has 1 in 5 s, no backoff and no budget of the child)', () => {
  expect(defaults).toEqual({
    child: {
      restart: 'permanent',
      shutdown: 5_000,
      startTimeout: 30_000,
      backoff: { first: 200, max: 30_000, jitter: 0.2, reset: 60_000 },
      budget: 5,
      quarantine: { first: 300_000, max: 3_600_000 },
    },
    team: { strategy: 'one_for_one', intensity: { max: 10, within: 60_000 } },
  })
})

test('a team starts once, and a stop before or during the start is taken up', () => {
  const never = simulate(otp('a'))
  expect([never.ask(stop), never.ask(start), never.ev(), never.exit]).toEqual([
    done,
    { kind: 'refused', why: 'already_started' },
    '',
    'shutdown',
  ])
  const halfway = simulate(otp('a b d'))
  halfway.script('b', { startIn: 50, stopIn: 10 })
  const reply = halfway.call(start)
  halfway.run(20)
  const stopped = halfway.call(stop)
  halfway.run(10)
  expect([reply(), stopped(), halfway.timed()]).toEqual([{ kind: 'refused', why: 'team_down' }, done, '0 start a, 30 stop b, 30 stop a'])
})

test('a child that was ready once and crashes while others still start is retried like any other', () => {
  const team = simulate(otp('a b', { intensity: { max: 3, within: 5_000 } }))
  team.script('a', {}, { start: 'fail' })
  team.script('b', { startIn: 50 })
  const reply = team.call(start)
  team.run(10)
  team.die('a')
  team.run(50)
  expect([reply(), team.timed()]).toEqual([done, '0 start a, 10 die a, 10 fail a, 10 start a, 50 start b'])
})
