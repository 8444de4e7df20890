import { describe, expect, test } from 'vitest'
import { started } from './simulate.ts'
import { done, otp, stop, terminate } from './specs.ts'

describe('shutdown', () => {
  test('49 children stop in reverse', () => {
    const team = started(otp('a b d'))
    expect([team.ask(stop), team.ev(), team.exit]).toEqual([done, 'stop d, stop b, stop a', 'shutdown'])
  })

  test('50 a child without a thread is skipped', () => {
    const team = started(otp('a b:transient d'))
    team.die('b', 'normal')
    team.ask(stop)
    expect(team.ev()).toBe('die b, stop d, stop a')
  })

  test('51 a child that ignores the request is killed when its time is over, then the next one stops', () => {
    const team = started(otp('a b', {}, { shutdown: 300 }), { part: (id) => (id === 'b' ? { stopIn: Number.POSITIVE_INFINITY } : {}) })
    const reply = team.call(stop)
    team.run(299)
    expect([team.timed(), reply()]).toEqual(['', undefined])
    team.run(1)
    expect([team.timed(), reply()]).toEqual(['300 kill b, 300 stop a', done])
  })

  test('52 shutdown 0 kills at once, without a request that could be heard', () => {
    const team = started(otp('a', {}, { shutdown: 0 }))
    expect([team.ask(stop), team.timed()]).toEqual([done, '0 kill a'])
  })

  test('53 shutdown Infinity waits', () => {
    const team = started(otp('a', {}, { shutdown: Number.POSITIVE_INFINITY }), { part: () => ({ stopIn: 700_000 }) })
    const reply = team.call(stop)
    expect(team.timers()).toEqual([])
    team.run(700_000)
    expect([reply(), team.timed()]).toEqual([done, '700000 stop a'])
  })

  test('54 children stop one at a time', () => {
    const team = started(otp('a b d e'), { part: () => ({ stopIn: 200 }) })
    team.call(stop)
    team.run(1_000)
    expect(team.timed()).toBe('200 stop e, 400 stop d, 600 stop b, 800 stop a')
  })

  test('56 how children end while they are stopped does not matter', () => {
    const team = started(otp('a b d'), { part: (id) => (id === 'b' ? { stopsWith: 'crash' } : { stopsWith: 'normal' }) })
    expect([team.ask(stop), team.ev(), team.exit]).toEqual([done, 'stop d, stop b, stop a', 'shutdown'])
  })

  test('56 a child that dies by itself while others stop does not disturb the order', () => {
    const team = started(otp('a b d'), { part: () => ({ stopIn: 100 }) })
    team.call(stop)
    team.run(50)
    team.die('b')
    team.run(500)
    expect([team.timed(), team.exit]).toEqual(['50 die b, 100 stop d, 200 stop a', 'shutdown'])
  })

  test('57 a child that takes its time to stop holds nobody up (OTP blocks meanwhile; ours never does)', () => {
    const team = started(otp('a b d'), { part: (id) => (id === 'a' ? { stopIn: 400 } : {}) })
    const reply = team.call(terminate('a'))
    team.run(100)
    team.die('b')
    expect([team.list(), team.ask(terminate('d')), team.timed(), reply()]).toEqual([
      'a draining, b running, d running',
      done,
      '100 die b, 100 start b, 100 stop d',
      undefined,
    ])
    team.run(300)
    expect([team.timed(), reply()]).toEqual(['400 stop a', done])
  })

  test('58 a team that is stopped with a reason ends with it', () => {
    const team = started(otp('a b'))
    expect([team.ask((to) => ({ kind: 'stop', to, exit: 'crash' })), team.ev(), team.exit]).toEqual([done, 'stop b, stop a', 'crash'])
  })

  test('59 a team that is killed leaves no child behind, and gives none time', () => {
    const team = started(otp('a b d'), { part: () => ({ stopIn: 1_000, killIn: 5 }) })
    const reply = team.call(stop)
    team.run(100)
    team.signal({ kind: 'kill' })
    team.run(5)
    expect([team.timed(), reply(), team.exit]).toEqual(['105 kill a, 105 kill b, 105 kill d', done, 'shutdown'])
  })

  test('a stop waits for a child that is being terminated, as one at a time', () => {
    const team = started(otp('a b d'), { part: () => ({ stopIn: 100 }) })
    const terminated = team.call(terminate('b'))
    const stopped = team.call(stop)
    team.run(300)
    expect([terminated(), stopped(), team.timed()]).toEqual([done, done, '100 stop b, 200 stop d, 300 stop a'])
  })

  test('a stop is safe twice', () => {
    const team = started(otp('a'), { part: () => ({ stopIn: 100 }) })
    const first = team.call(stop)
    const second = team.call(stop)
    team.run(100)
    expect([first(), second(), team.ask(stop), team.ev()]).toEqual([done, done, done, 'stop a'])
  })
})

describe('trees', () => {
  const long = 3_600_000
  const tree = (restart: 'permanent' | 'transient', topMax: number, midMax: number, crashIn?: number) => {
    const top = otp(`mid:${restart}`, { id: 'top', intensity: { max: topMax, within: long } })
    const mid = otp('w', { id: 'mid', intensity: { max: midMax, within: long } })
    return started(top, { teams: { mid }, part: () => (crashIn === undefined ? {} : { crashIn }) })
  }

  test('60 a team that gives up is restarted by the supervisor above it', () => {
    const top = tree('permanent', 1, 1)
    top.die('w')
    top.die('w')
    expect([top.ev(), top.incarnation('mid'), top.list()]).toEqual([
      'die w, start w, die w, end mid gave_up, start w, start mid',
      2,
      'mid running',
    ])
  })

  test('61 so is a transient one: it has not ended well (OTP takes its shutdown for an end: the documented trap)', () => {
    const top = tree('transient', 1, 1)
    top.die('w')
    top.die('w')
    expect([top.incarnation('mid'), top.list()]).toEqual([2, 'mid running'])
  })

  test('62 the starts of a child that crashes at once are the product of the budgets, each plus one', () => {
    const top = tree('permanent', 2, 3, 1)
    const first = 1 // started() has read the first start away
    top.run(1_000)
    const starts = top
      .ev()
      .split(', ')
      .filter((what) => what === 'start w').length
    expect([first + starts, top.exit]).toEqual([12, 'gave_up'])
  })

  test('a stop reaches the children of the children', () => {
    const top = tree('permanent', 1, 1)
    expect([top.ask(stop), top.ev(), top.exit]).toEqual([done, 'stop w, end mid shutdown', 'shutdown'])
  })

  test('a kill reaches the children of the children', () => {
    const top = tree('permanent', 1, 1)
    top.signal({ kind: 'kill' })
    expect([top.ev(), top.exit]).toEqual(['kill w, end mid shutdown', 'shutdown'])
  })
})
