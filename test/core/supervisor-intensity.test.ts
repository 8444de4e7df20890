import { describe, expect, test } from 'vitest'
import { simulate, started } from './simulate.ts'
import { add, done, otp, refused, remove, restart, start, stop, terminate } from './specs.ts'

const hour = 3_600_000
const max = (count: number) => ({ intensity: { max: count, within: hour } })

/** Lets a child crash again and again, as often as it can. */
function crash(team: ReturnType<typeof started>, ids: string): void {
  for (const id of ids.split(' ')) team.die(id)
}

describe('intensity', () => {
  test('26 one restart is granted, the second ends the team, for a reason of its own (OTP: shutdown)', () => {
    const team = started(otp('a'))
    crash(team, 'a a')
    expect([team.ev(), team.exit]).toEqual(['die a, start a, die a', 'gave_up'])
  })

  test('27 a team without budget stops the others in reverse and does not restart', () => {
    const team = started(otp('a b d', max(0)))
    team.die('b')
    expect([team.ev(), team.exit]).toEqual(['die b, stop d, stop a', 'gave_up'])
  })

  test('28 a budget of 3 grants three restarts', () => {
    const team = started(otp('a', max(3)))
    crash(team, 'a a a a')
    expect([team.incarnation('a'), team.exit]).toEqual([4, 'gave_up'])
  })

  test('29 children share the budget', () => {
    const team = started(otp('a b d', max(2)))
    crash(team, 'a b d')
    expect([team.ev(), team.exit]).toEqual(['die a, start a, die b, start b, die d, stop b, stop a', 'gave_up'])
  })

  test('30 a round of restarts counts once', () => {
    const team = started(otp('a b d e', { strategy: 'one_for_all', ...max(2) }))
    crash(team, 'a b')
    expect([team.incarnation('e'), team.exit]).toEqual([3, undefined])
    team.die('d')
    expect([team.incarnation('e'), team.exit]).toEqual([3, 'gave_up'])
  })

  test('31 the window slides, in milliseconds (OTP counts whole seconds: its true window is up to a second longer)', () => {
    const apart = (ms: number) => {
      const team = started(otp('a', { intensity: { max: 1, within: 1_000 } }))
      for (let crashes = 0; crashes < 3 && team.exit === undefined; crashes += 1) {
        team.die('a')
        team.run(ms)
      }
      return [team.incarnation('a'), team.exit]
    }
    expect([apart(2_100), apart(1_000), apart(999)]).toEqual([
      [4, undefined],
      [4, undefined],
      [2, 'gave_up'],
    ])
  })

  test('32 healthy runs between crashes do not give the budget back', () => {
    const team = started(otp('a', max(2)))
    for (const _ of [1, 2, 3]) {
      team.run(300)
      team.die('a')
    }
    expect(team.exit).toBe('gave_up')
  })

  test('33 one_for_one: two children that die at once count twice', () => {
    const team = started(otp('a b', max(1)))
    team.die('a b')
    expect(team.exit).toBe('gave_up')
  })

  test('34 one_for_all: two children that die at once are one round', () => {
    const team = started(otp('a b', { strategy: 'one_for_all', ...max(1) }))
    team.die('a b')
    expect([team.ev(), team.exit]).toEqual(['die a, die b, start a, start b', undefined])
  })

  test('35 rest_for_one: an exit behind the one that was seen first belongs to its round', () => {
    const team = started(otp('a b', { strategy: 'rest_for_one', ...max(1) }))
    team.die('a b')
    expect([team.ev(), team.exit]).toEqual(['die a, die b, start a, start b', undefined])
  })

  test('36 rest_for_one: an exit before the one that was seen first is a second round', () => {
    const team = started(otp('a b', { strategy: 'rest_for_one', ...max(1) }))
    team.die('b a')
    expect(team.exit).toBe('gave_up')
  })

  test('37 a team that gives up does not start the child that ended it', () => {
    const team = started(otp('a b', max(1)))
    crash(team, 'a a')
    expect([team.ev(), team.exit]).toEqual(['die a, start a, die a, stop b', 'gave_up'])
  })
})

describe('failed restarts', () => {
  const failing = (team: ReturnType<typeof started>, id: string, times: number) =>
    team.script(id, ...Array.from({ length: times }, () => ({ start: 'fail', startIn: 10 }) as const))

  test('38 each failed attempt counts', () => {
    const team = started(otp('a b', max(4)))
    failing(team, 'a', 10)
    team.die('a')
    team.run(100)
    expect([team.ev(), team.exit]).toEqual(['die a, fail a, fail a, fail a, fail a, stop b', 'gave_up'])
  })

  test('39 a child comes up by itself after 900 attempts (after backoff, where there is one: then later, but by the same count)', () => {
    const attempts = (first: number) => {
      const team = started(otp('a', max(1_000), { backoff: { first, max: first, jitter: 0, reset: hour } }))
      failing(team, 'a', 900)
      team.die('a')
      team.run(901 * (10 + first))
      return [team.incarnation('a'), team.list(), team.team.history.restarts.length]
    }
    const all = [902, 'a running', 901]
    expect([attempts(0), attempts(100)]).toEqual([all, all])
  })

  test('40 a child that is being restarted says so', () => {
    const team = started(otp('a b', max(1_000)))
    failing(team, 'a', 100)
    team.die('a')
    team.run(25)
    const [a] = team.team.children
    expect([team.list(), team.ask(restart('a')), team.ask(remove('a')), a && team.ask(add(a.spec))]).toEqual([
      'a starting, b running',
      refused('restarting'),
      refused('restarting'),
      refused('already_present'),
    ])
  })

  test('41 and 42 terminate ends the attempts, restart works later, delete removes the child, siblings do not notice', () => {
    const team = started(otp('a b', max(1_000)))
    failing(team, 'a', 3)
    team.die('a')
    team.run(25)
    expect(team.ask(terminate('a'))).toEqual(done)
    team.run(1_000)
    expect(team.ev()).toBe('die a, fail a, fail a, stop a')
    expect([team.ask(restart('a')), team.ask(terminate('a')), team.ask(remove('a')), team.list()]).toEqual([done, done, done, 'b running'])
    expect(team.ev()).toBe('start a, stop a')
  })

  test('43 a sibling is restarted while a child is still being restarted', () => {
    const team = started(otp('a b', max(1_000)))
    failing(team, 'a', 100)
    team.die('a')
    team.run(25)
    team.die('b')
    expect([team.timed(), team.list()]).toEqual(['0 die a, 10 fail a, 20 fail a, 25 die b, 25 start b', 'a starting, b running'])
  })

  test('44 a stop ends the attempts at once', () => {
    const team = started(otp('a b', max(1_000)))
    failing(team, 'a', 100)
    team.die('a')
    team.run(25)
    expect([team.ask(stop), team.now, team.exit]).toEqual([done, 25, 'shutdown'])
  })

  test('45 one_for_all: a start that fails stops everything again', () => {
    const team = started(otp('a b', { strategy: 'one_for_all', ...max(5) }))
    failing(team, 'b', 1)
    team.die('a')
    team.run(10)
    expect(team.ev()).toBe('die a, stop b, start a, fail b, stop a, start a, start b')
  })

  test('46 rest_for_one: a start that fails is retried from there', () => {
    const team = started(otp('a b d', { strategy: 'rest_for_one', ...max(5) }))
    failing(team, 'b', 1)
    team.die('a')
    team.run(10)
    expect(team.ev()).toBe('die a, stop d, stop b, start a, fail b, start b, start d')
  })

  test('47 a child that has nothing to do when it is restarted stays without a thread', () => {
    const team = started(otp('a b'))
    team.script('a', { start: 'ignore' })
    team.die('a')
    expect([team.ev(), team.list(), team.exit]).toEqual(['die a, ignore a', 'a stopped, b running', undefined])
  })

  test('48 a restart by hand that fails is answered, not retried and not counted', () => {
    const team = started(otp('a b', max(0)))
    team.ask(terminate('a'))
    team.script('a', { start: 'fail' })
    expect(team.ask(restart('a'))).toEqual({ kind: 'failed', id: 'a', exit: 'start_failed', detail: 'no luck' })
    expect([team.ev(), team.list(), team.exit]).toEqual(['stop a, fail a', 'a stopped, b running', undefined])
  })
})

test('an exit while others still start is taken up at once (OTP looks at it once all are ready)', () => {
  const team = simulate(otp('a b'))
  team.script('b', { startIn: 100 })
  const reply = team.call(start)
  team.run(50)
  team.die('a')
  expect([team.timed(), reply()]).toEqual(['0 start a, 50 die a, 50 start a', undefined])
  team.run(50)
  expect([team.timed(), reply()]).toEqual(['100 start b', done])
})
