import { describe, expect, test } from 'vitest'
import { defaults, type TeamSpec } from '../../src/core/spec.ts'
import { started } from './simulate.ts'
import { add, apply, childSpecs, done, otp, refused, remove, restart, stop, terminate, troupe } from './specs.ts'

const none = { intensity: { max: 0, within: 5_000 } }
const one = (word: string) => childSpecs(word, otp('x').children[0] ?? defaults.child)[0] ?? { ...defaults.child, id: word, version: '1' }

describe('requests', () => {
  test('64 a child that exists cannot be added again', () => {
    const team = started(otp('a'))
    const before = team.ask(add(one('a')))
    team.ask(terminate('a'))
    expect([before, team.ask(add(one('a')))]).toEqual([refused('already_started'), refused('already_present')])
  })

  test('64 a child that is added starts last and stops first', () => {
    const team = started(otp('a b'))
    expect([team.ask(add(one('z'))), team.ask(stop), team.ev()]).toEqual([done, done, 'start z, stop z, stop b, stop a'])
  })

  test('65 a child that is added and cannot start is discarded; siblings and budget are untouched', () => {
    const team = started(otp('a', none))
    team.script('z', { start: 'fail' }, { start: 'hang' })
    const failed = team.ask(add(one('z')))
    const thrown = team.call(add(one('z')))
    team.die('z')
    expect([failed, thrown(), team.list(), team.exit]).toEqual([
      { kind: 'failed', id: 'z', exit: 'start_failed', detail: 'no luck' },
      { kind: 'failed', id: 'z', exit: 'crash', detail: undefined },
      'a running',
      undefined,
    ])
  })

  test('66 terminate is safe twice, keeps the child, restarts nothing and counts nothing', () => {
    const team = started(otp('a b', none))
    expect([team.ask(terminate('a')), team.ask(terminate('a')), team.list(), team.ev()]).toEqual([
      done,
      done,
      'a stopped, b running',
      'stop a',
    ])
  })

  test('67 a temporary child that is terminated leaves the team', () => {
    const team = started(otp('a:temporary'))
    expect([team.ask(terminate('a')), team.ask(restart('a')), team.list()]).toEqual([done, refused('not_found'), ''])
  })

  test('68 what is refused, and why', () => {
    const team = started(otp('a'))
    expect({
      running: [team.ask(restart('a')), team.ask(remove('a'))],
      unknown: [team.ask(terminate('x')), team.ask(remove('x')), team.ask(restart('x'))],
      removed: [team.ask(terminate('a')), team.ask(remove('a')), team.ask(restart('a'))],
      down: [team.ask(stop), team.ask(add(one('z'))), team.ask(terminate('a')), team.ask(apply(otp('a')))],
    }).toEqual({
      running: [refused('running'), refused('running')],
      unknown: [refused('not_found'), refused('not_found'), refused('not_found')],
      removed: [done, done, refused('not_found')],
      down: [done, refused('team_down'), refused('team_down'), refused('team_down')],
    })
  })

  test('69 signals of unknown children, older incarnations and timers that were replaced mean nothing', () => {
    const team = started(otp('a', { intensity: { max: 1, within: 5_000 } }))
    team.die('a')
    const before = team.team
    team.signal({ kind: 'exited', id: 'x', incarnation: 1, exit: 'crash' })
    team.signal({ kind: 'exited', id: 'a', incarnation: 1, exit: 'crash' })
    team.signal({ kind: 'ready', id: 'a', incarnation: 1 })
    team.signal({ kind: 'ready', id: 'a', incarnation: 2 })
    team.signal({ kind: 'ignored', id: 'a', incarnation: 2 })
    team.signal({ kind: 'fired', id: 'a', at: 17 })
    expect([team.team, team.exit]).toEqual([before, undefined])
    team.die('a')
    team.signal({ kind: 'exited', id: 'a', incarnation: 2, exit: 'crash' })
    expect([team.ev(), team.exit]).toEqual(['die a, start a, die a', 'gave_up'])
  })

  test('69 a child that was removed is not taken for the one that joins under its id', () => {
    const team = started(otp('a', none))
    expect([team.ask(terminate('a')), team.ask(remove('a')), team.ask(add(one('a'))), team.incarnation('a')]).toEqual([done, done, done, 2])
    team.signal({ kind: 'exited', id: 'a', incarnation: 1, exit: 'crash' })
    expect([team.list(), team.exit]).toEqual(['a running', undefined])
  })

  test('70 terminate returns in time, also when the child does not hear', () => {
    const team = started(otp('a', {}, { shutdown: 300 }), { part: () => ({ stopIn: Number.POSITIVE_INFINITY }) })
    const reply = team.call(terminate('a'))
    team.run(300)
    expect([reply(), team.timed()]).toEqual([done, '300 kill a'])
  })

  test('71 a child cannot detach itself: its end is always noticed and counts (OTP misses it)', () => {
    const team = started(otp('a'))
    team.die('a')
    expect(team.ev()).toBe('die a, start a')
  })

  test('everybody who waits for a child is answered by what becomes of it', () => {
    const team = started(otp('a'), { part: (id) => (id === 'z' ? { startIn: 50, stopIn: 10 } : {}) })
    const added = team.call(add(one('z')))
    const again = team.call(add(one('z')))
    team.run(10)
    const terminated = [team.call(terminate('z')), team.call(terminate('z'))]
    team.run(10)
    expect([added(), again(), ...terminated.map((reply) => reply()), team.list()]).toEqual([
      { kind: 'failed', id: 'z', exit: 'shutdown', detail: undefined },
      refused('already_started'),
      done,
      done,
      'a running, z stopped',
    ])
  })

  test('a child in a round of restarts that is terminated stays down, the others come up (OTP leaves them down)', () => {
    const team = started(troupe('a b d', { strategy: 'one_for_all' }))
    team.die('b')
    expect([team.ev(), team.list()]).toEqual(['die b, stop d, stop a', 'a stopped, b waiting, d stopped'])
    expect([team.ask(terminate('b')), team.ev(), team.list()]).toEqual([done, 'start a, start d', 'a running, b stopped, d running'])
  })
})

describe('reload', () => {
  const version = (spec: TeamSpec, id: string, to: string): TeamSpec => ({
    ...spec,
    children: spec.children.map((child) => (child.id === id ? { ...child, version: to } : child)),
  })

  test('87 a changed child is restarted, a missing one stopped, a new one started, the others are left alone (OTP only notes the specs)', () => {
    const team = started(otp('a b d'))
    const spec = version(otp('a d n', { intensity: { max: 0, within: 5_000 } }, { shutdown: 77 }), 'a', '2')
    const reply = team.ask(apply(spec))
    expect({ reply, ev: team.ev(), list: team.list(), kept: team.incarnation('d') }).toEqual({
      reply: { kind: 'planned', plan: { stop: ['a', 'b'], start: [spec.children[0], spec.children[2]] } },
      ev: 'stop b, stop a, start a, start n',
      list: 'a running, d running, n running',
      kept: 1,
    })
    team.die('d')
    expect(team.exit).toBe('gave_up')
  })

  test('88 a faulty spec is rejected as a whole', () => {
    const team = started(otp('a b'))
    const before = team.team
    expect([team.ask(apply(otp('n n'))), team.ev()]).toEqual([{ kind: 'invalid', faults: ['Team "team" has more than one child "n"'] }, ''])
    expect(team.team).toEqual(before)
  })

  test('a reload does not run again what has ended or was stopped on purpose, as long as it is the same version', () => {
    const spec = otp('a b:temporary d:transient e')
    const team = started(spec)
    team.die('b', 'normal')
    team.die('d', 'normal')
    team.ask(terminate('a'))
    team.ev()
    team.ask(apply(spec))
    team.ask(apply(spec))
    expect([team.ev(), team.list()]).toEqual(['', 'a stopped, d stopped, e running'])
    team.ask(apply(version(version(version(spec, 'a', '2'), 'b', '2'), 'd', '2')))
    expect([team.ev(), team.list()]).toEqual(['start a, start b, start d', 'a running, b running, d running, e running'])
  })

  test('a new version that cannot start is retried and parked like any other child that fails', () => {
    const spec = troupe('a b')
    const team = started(spec)
    team.script('b', ...Array.from({ length: 5 }, () => ({ start: 'fail' }) as const))
    team.ask(apply(version(spec, 'b', '2')))
    team.run(60_000)
    expect([team.timed(), team.list()]).toEqual([
      '0 stop b, 0 fail b, 200 fail b, 600 fail b, 1400 fail b, 3000 fail b',
      'a running, b quarantined',
    ])
    team.ask(apply(version(spec, 'b', '3')))
    expect([team.list(), team.team.history.children]).toEqual(['a running, b running', {}])
  })

  test('a reload in the middle of another one has the last word', () => {
    const spec = otp('a b d')
    const team = started(spec, { part: () => ({ stopIn: 100, startIn: 100 }) })
    team.run(1_000)
    team.ev()
    team.call(apply(otp('a')))
    team.run(50)
    team.call(apply(version(spec, 'a', '2')))
    team.run(1_000)
    expect([team.ev(), team.list()]).toEqual(['stop d, stop b, stop a, start a, start b, start d', 'a running, b running, d running'])
  })
})
