import { describe, expect, test } from 'vitest'
import { started } from './simulate.ts'
import { otp, refused, restart, stop, terminate } from './specs.ts'

const often = { max: 10, within: 5_000 }

describe('strategies', () => {
  test('8 one_for_one restarts the child that crashed and no other', () => {
    const team = started(otp('a b d'))
    team.die('b')
    expect([team.ev(), team.incarnation('a'), team.incarnation('b'), team.incarnation('d')]).toEqual(['die b, start b', 1, 2, 1])
  })

  test('9 one_for_all stops the others in reverse and starts all in order', () => {
    const team = started(otp('a b d e', { strategy: 'one_for_all' }))
    team.die('b')
    expect(team.ev()).toBe('die b, stop e, stop d, stop a, start a, start b, start d, start e')
  })

  test('10 rest_for_one restarts those after it, too, and leaves those before it alone', () => {
    const team = started(otp('a b d e', { strategy: 'rest_for_one' }))
    team.die('b')
    expect([team.ev(), team.incarnation('a')]).toEqual(['die b, stop e, stop d, start b, start d, start e', 1])
  })

  test('11 a restarted child keeps its place in the order', () => {
    const team = started(otp('a b d'))
    team.die('a')
    team.ask(stop)
    expect(team.ev()).toBe('die a, start a, stop d, stop b, stop a')
  })

  test.each([
    ['13', 'one_for_all'],
    ['14', 'rest_for_one'],
  ] as const)('%s a temporary child that %s stops is not started again', (_, strategy) => {
    const team = started(otp('a b:temporary d', { strategy }))
    team.die('a')
    expect([team.ev(), team.list()]).toEqual(['die a, stop d, stop b, start a, start d', 'a running, d running'])
  })

  test('15 a temporary child that crashes leaves its siblings untouched', () => {
    const team = started(otp('a b:temporary d', { strategy: 'one_for_all' }))
    team.die('b')
    expect([team.ev(), team.list()]).toEqual(['die b', 'a running, d running'])
  })

  test('16 a transient child that ends well leaves its siblings untouched and stays without a thread', () => {
    const team = started(otp('a b:transient d', { strategy: 'one_for_all' }))
    team.die('b', 'normal')
    expect([team.ev(), team.list()]).toEqual(['die b', 'a running, b stopped, d running'])
  })

  test('17 a round of restarts revives a transient child that had ended', () => {
    const team = started(otp('a b:transient d', { strategy: 'one_for_all' }))
    team.die('b', 'normal')
    team.die('a')
    expect(team.ev()).toBe('die b, die a, stop d, start a, start b, start d')
  })

  test('18 a round of restarts revives a child that was stopped by hand', () => {
    const team = started(otp('a b d', { strategy: 'one_for_all' }))
    team.ask(terminate('b'))
    team.die('a')
    expect(team.ev()).toBe('stop b, die a, stop d, start a, start b, start d')
  })

  test('19 rest_for_one revives only children after the one that crashed', () => {
    const team = started(otp('a b d', { strategy: 'rest_for_one' }))
    team.ask(terminate('a'))
    team.ask(terminate('d'))
    team.die('b')
    expect([team.ev(), team.list()]).toEqual(['stop a, stop d, die b, start b, start d', 'a stopped, b running, d running'])
  })

  test('rest_for_one: a crash before the round that is under way widens it', () => {
    const team = started(otp('a b d', { strategy: 'rest_for_one', intensity: often }))
    team.script('d', { startIn: 50 })
    team.die('b')
    team.run(10)
    team.die('a')
    expect(team.ev()).toBe('die b, stop d, start b, die a, stop d, stop b, start a, start b, start d')
  })
})

describe('restart types', () => {
  const reasons = ['normal', 'shutdown', 'crash', 'hung', 'out_of_memory'] as const

  test('20 a permanent child is restarted whatever the reason', () => {
    const team = started(otp('a', { intensity: often }))
    for (const reason of reasons) team.die('a', reason)
    expect([team.incarnation('a'), team.list()]).toEqual([6, 'a running'])
  })

  test('21 a permanent child that ends well uses up the budget', () => {
    const team = started(otp('a', { intensity: { max: 1, within: 3_600_000 } }))
    team.die('a', 'normal')
    team.die('a', 'normal')
    expect([team.ev(), team.exit]).toEqual(['die a, start a, die a', 'gave_up'])
  })

  test('22 a transient child that ends well is kept, and can be restarted by hand', () => {
    const team = started(otp('a:transient', { intensity: { max: 0, within: 5_000 } }))
    for (const reason of ['normal', 'shutdown'] as const) {
      team.die('a', reason)
      expect([team.list(), team.ask(restart('a')), team.list()]).toEqual(['a stopped', { kind: 'done' }, 'a running'])
    }
    expect(team.exit).toBeUndefined()
  })

  test('23 a transient child that ends badly is restarted', () => {
    const team = started(otp('a:transient', { intensity: often }))
    team.die('a', 'crash')
    team.die('a', 'hung')
    expect([team.incarnation('a'), team.list()]).toEqual([3, 'a running'])
  })

  test('24 temporary children leave the team, however they end, and use up no budget', () => {
    const team = started(otp('a:temporary b:temporary', { intensity: { max: 0, within: 5_000 } }))
    team.die('a')
    team.die('b', 'normal')
    expect([team.list(), team.exit, team.ask(restart('a'))]).toEqual(['', undefined, refused('not_found')])
  })

  test('25 three crashes of temporary children do not end a team without budget', () => {
    const team = started(otp('a:temporary b:temporary d:temporary e', { intensity: { max: 0, within: 5_000 } }))
    team.die('a b d')
    expect([team.ev(), team.list(), team.exit]).toEqual(['die a, die b, die d', 'e running', undefined])
  })
})
