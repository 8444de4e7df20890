import { describe, expect, test } from 'vitest'
import type { History } from '../../src/core/history.ts'
import { defaults, type TeamSpec } from '../../src/core/spec.ts'
import { type Part, simulate, started } from './simulate.ts'
import { apply, done, otp, pause, refused, remove, renew, restart, start, stop, terminate, troupe } from './specs.ts'

const minute = 60_000
const failing: Part = { start: 'fail' }
const crashing = (times: number): Part[] => Array.from({ length: times }, () => ({ crashIn: 0 }))

describe('start timeout', () => {
  test('89 a child that is stuck while it starts is killed, and that is one attempt', () => {
    const team = started(troupe('a b', { intensity: { max: 2, within: minute } }, { startTimeout: 1_000 }))
    team.script('a', { start: 'hang', killIn: 5 })
    team.die('a')
    team.run(5_000)
    expect([team.timed(), team.team.history]).toEqual([
      '0 die a, 1205 kill a, 1605 start a',
      // 200 ms of waiting moved the first on, and 400 ms both.
      {
        restarts: [
          { id: 'a', at: 600 },
          { id: 'a', at: 1_605 },
        ],
        children: { a: { version: '1', exits: 2, quarantines: 0 } },
      },
    ])
    expect(team.events.filter(({ name }) => name === 'child:exited')).toMatchObject([{ exit: 'crash' }, { exit: 'start_timeout' }])
  })

  test('a start is not timed before the child has its thread, and can be given up all the same', () => {
    const team = started(troupe('a b', {}, { startTimeout: 1_000 }))
    team.script('a', { beginIn: 5_000, startIn: 900 })
    team.script('b', { beginIn: Number.POSITIVE_INFINITY })
    team.die('a b')
    team.run(10_000)
    const paused = team.call(terminate('b'))
    team.run()
    expect([team.timed(), paused(), team.list()]).toEqual(['0 die a, 0 die b, 6100 start a, 10000 stop b', done, 'a running, b stopped'])
  })

  test('89 at boot it fails the start', () => {
    const team = simulate(otp('a b', {}, { startTimeout: 1_000 }))
    team.script('b', { start: 'hang' })
    const reply = team.call(start)
    team.run(1_000)
    expect([reply(), team.timed()]).toEqual([
      { kind: 'failed', id: 'b', exit: 'start_timeout', detail: undefined },
      '0 start a, 1000 kill b, 1000 stop a',
    ])
  })

  test('89 a child that is ready after all, but too late, is killed all the same', () => {
    const team = started(troupe('a', {}, { startTimeout: 1_000 }))
    team.script('a', { start: 'hang', killIn: 50 })
    team.die('a')
    team.run(1_210)
    team.signal({ kind: 'ready', id: 'a', incarnation: 2 })
    expect(team.list()).toBe('a draining')
    team.run(500)
    expect(team.timed()).toBe('0 die a, 1250 kill a, 1650 start a')
  })
})

describe('starting anew', () => {
  const outdated = (id: string) => ({ kind: 'outdated', id }) as const

  test('a child whose memory counts no more starts again, and a start that fails then is judged like any other', () => {
    const team = started(troupe('a b'))
    team.script('a', failing)
    team.signal(outdated('a'))
    team.run(1_000)
    expect([team.timed(), team.list(), team.team.history.children]).toEqual([
      '0 stop a, 0 fail a, 200 start a',
      'a running, b running',
      { a: { version: '1', exits: 1, quarantines: 0 } },
    ])
  })

  test('it stays in its team when it is temporary', () => {
    const team = started(otp('a:temporary b'))
    team.signal(outdated('a'))
    expect([team.ask(renew('a')), team.ev(), team.list()]).toEqual([done, 'stop a, start a, stop a, start a', 'a running, b running'])
  })

  test('only a command forgives, and takes up one that is down', () => {
    const team = started(troupe('a b'))
    team.script('a', ...crashing(3))
    team.die('a')
    team.run(5_000)
    team.signal(outdated('a'))
    const exits = () => team.team.history.children.a?.exits
    const before = exits()
    team.ask(terminate('b'))
    expect([before, team.ask(renew('a')), exits(), team.ask(renew('b')), team.list()]).toEqual([
      4,
      done,
      undefined,
      done,
      'a running, b running',
    ])
  })

  test('it is too late for a child that is on its way down, and means nothing to one that is there already', () => {
    const team = started(troupe('a b'), { part: () => ({ stopIn: 100 }) })
    const paused = team.call(terminate('a'))
    team.signal(outdated('a'))
    team.die('b')
    team.signal(outdated('b'))
    team.run(1_000)
    expect([paused(), team.timed(), team.list()]).toEqual([done, '0 die b, 100 stop a, 200 start b', 'a stopped, b running'])
  })
})

describe('backoff', () => {
  test('90 a child that waits holds up no request, and terminate or stop ends its wait', () => {
    const team = started(troupe('a b d'))
    team.die('a b')
    expect([team.list(), team.ask(restart('a')), team.ask(remove('a')), team.ask(terminate('a'))]).toEqual([
      'a waiting, b waiting, d running',
      refused('restarting'),
      refused('restarting'),
      done,
    ])
    team.run(100)
    expect([team.ask(stop), team.now, team.timed()]).toEqual([done, 100, '0 die a, 0 die b, 100 stop d'])
  })

  test('91 the wait doubles to its limit, and chance shortens it', () => {
    const waits = (random: number) => {
      const spec = troupe('a', { intensity: { max: 20, within: minute } }, { budget: Number.POSITIVE_INFINITY })
      const team = started(spec, { random })
      team.script('a', ...crashing(9))
      team.die('a')
      team.run(10 * minute)
      const starts = [...team.timed().matchAll(/(\d+) start/g)].map(([, at]) => Number(at))
      return starts.map((at, index) => at - (starts[index - 1] ?? 0))
    }
    expect([waits(0), waits(0.5)]).toEqual([
      [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000],
      [180, 360, 720, 1_440, 2_880, 5_760, 11_520, 23_040, 27_000, 27_000],
    ])
  })

  test('91 a child that crashes before it was healthy for long enough waits longer', () => {
    const team = started(troupe('a'))
    team.die('a')
    team.run(200 + minute - 1)
    team.die('a')
    expect(team.events.findLast(({ name }) => name === 'child:delayed')).toMatchObject({ exits: 2 })
    team.run(400 + minute)
    expect(team.events.at(-1)).toEqual({ name: 'child:recovered', team: 'team', id: 'a', incarnation: 3 })
    team.die('a')
    expect(team.events.findLast(({ name }) => name === 'child:delayed')).toMatchObject({ exits: 1 })
  })

  test('92 a stop during backoff or quarantine leaves no timer', () => {
    const team = started(troupe('a b'))
    team.script('b', ...crashing(4))
    team.die('b')
    team.run(10_000)
    team.die('a')
    expect([team.list(), team.timers()]).toEqual(['a waiting, b quarantined', ['b', 'a']])
    expect([team.ask(stop), team.timers(), team.exit]).toEqual([done, [], 'shutdown'])
  })

  test('one_for_all waits with all of them down, rest_for_one with those after the one that crashed', () => {
    const waiting = (strategy: 'one_for_all' | 'rest_for_one') => {
      const team = started(troupe('a b d', { strategy }))
      team.die('b')
      team.run(1_000)
      return team.timed()
    }
    expect([waiting('one_for_all'), waiting('rest_for_one')]).toEqual([
      '0 die b, 0 stop d, 0 stop a, 200 start a, 200 start b, 200 start d',
      '0 die b, 0 stop d, 200 start b, 200 start d',
    ])
  })

  test('DECISIONS 14: the window does not count the time spent in backoff: crashes that backoff spaces out still add up', () => {
    const policy = { budget: Number.POSITIVE_INFINITY, backoff: { ...defaults.child.backoff, first: 1_000 } }
    const team = started(troupe('a b', { intensity: { max: 3, within: 5_000 } }, policy))
    team.script('a', ...crashing(9))
    team.die('a')
    team.run(30_000)
    // At 0, 1, 3, 7 s, never more than 3 within 5 s of the clock.
    expect([team.timed(), team.exit]).toEqual([
      '0 die a, 1000 start a, 1000 die a, 3000 start a, 3000 die a, 7000 start a, 7000 die a, 7000 stop b',
      'gave_up',
    ])
  })

  test('DECISIONS 14: a poison message is dead long before its actor is parked, and that before its team gives up (OTP: 1 in 5 s)', () => {
    const outcome = (team: ReturnType<typeof started>) => {
      team.script('a', ...crashing(20))
      team.die('a')
      team.run(4 * minute)
      return [team.list(), team.exit, team.events.filter(({ name }) => name === 'child:started').length]
    }
    expect([outcome(started(troupe('a b'))), outcome(started(otp('a b')))]).toEqual([
      // Two started together, and a four times more: one more than a message has attempts.
      ['a quarantined, b running', undefined, 6],
      ['a stopped, b stopped', 'gave_up', 3],
    ])
  })

  test('the window goes on for those who do not wait', () => {
    const policy = { budget: Number.POSITIVE_INFINITY, backoff: { ...defaults.child.backoff, first: 10_000 } }
    const exitAt = (ms: number) => {
      const team = started(troupe('a b', { intensity: { max: 2, within: 15_000 } }, policy))
      team.die('b')
      team.run(20_000)
      team.die('a')
      team.run(ms - 20_000)
      team.die('b')
      return team.exit
    }
    // The first restart of b is 10 s younger than its crash, because b waited; that a waits now makes only a's younger.
    expect([exitAt(24_999), exitAt(25_000)]).toEqual(['gave_up', undefined])
  })
})

describe('quarantine', () => {
  test('93 a child that uses up its own budget is parked before its team gives up', () => {
    const team = started(troupe('a b', { intensity: { max: 4, within: minute } }))
    team.script('a', ...crashing(9))
    team.die('a')
    team.run(10_000)
    expect([team.list(), team.exit, team.team.history.restarts.length]).toEqual(['a quarantined, b running', undefined, 4])
    expect(team.events.at(-1)).toEqual({ name: 'child:quarantined', team: 'team', id: 'a', incarnation: 5, exits: 5, until: 303_000 })
  })

  test('93 it is tried again later, each time later, and forgiven once it is healthy', () => {
    const team = started(troupe('a b'))
    team.script('a', ...crashing(4 + 5))
    team.die('a')
    team.run(24 * 60 * minute)
    const parked = team.events.flatMap((event) => (event.name === 'child:quarantined' ? [event.until] : []))
    const waits = parked.map((until, index) => ((until ?? 0) - (parked[index - 1] ?? 3_000)) / minute)
    expect([waits, team.list(), team.team.history.children]).toEqual([[5, 10, 20, 40, 60, 60], 'a running, b running', {}])
  })

  test('93 a command takes it out at once and forgives it', () => {
    const team = started(troupe('a'))
    team.script('a', ...crashing(4))
    team.die('a')
    team.run(10_000)
    expect([team.list(), team.ask(restart('a')), team.list(), team.team.history.children]).toEqual(['a quarantined', done, 'a running', {}])
    team.die('a')
    expect(team.list()).toBe('a waiting')
  })

  test('93 terminate and delete work on a child in quarantine', () => {
    const team = started(troupe('a b'))
    team.script('a', ...crashing(4))
    team.script('b', ...crashing(4))
    team.die('a b')
    team.run(10_000)
    expect([team.list(), team.ask(terminate('a')), team.ask(remove('b')), team.list(), team.timers()]).toEqual([
      'a quarantined, b quarantined',
      done,
      done,
      'a stopped',
      [],
    ])
  })

  test('93 the siblings of a child that is parked are left alone or brought up, whatever the strategy', () => {
    const team = started(troupe('a b d', { strategy: 'one_for_all' }))
    team.script('b', failing, failing, failing, failing)
    team.die('b')
    team.run(10_000)
    expect([team.timed(), team.list()]).toEqual([
      '0 die b, 0 stop d, 0 stop a, 200 start a, 200 fail b, 200 stop a, 600 start a, 600 fail b, 600 stop a, ' +
        '1400 start a, 1400 fail b, 1400 stop a, 3000 start a, 3000 fail b, 3000 start d',
      'a running, b quarantined, d running',
    ])
    team.die('a')
    team.run(200)
    expect([team.timed(), team.list()]).toEqual([
      '10000 die a, 10000 stop d, 10200 start a, 10200 start d',
      'a running, b quarantined, d running',
    ])
  })

  test('93 one whose quarantine ends in the middle of a round takes its place in it', () => {
    const quarantine = { first: 250, max: 250 }
    const team = started(troupe('a b d', { strategy: 'one_for_all' }, { budget: 2, quarantine }))
    team.script('d', failing)
    team.die('d')
    team.run(200)
    team.ev()
    team.script('a', { startIn: 500 })
    team.die('a')
    team.run(800)
    expect([team.timed(), team.list()]).toEqual([
      '200 die a, 200 stop b, 900 start a, 900 start b, 900 start d',
      'a running, b running, d running',
    ])
  })

  test('97 a message that crashes three incarnations is dead before its actor is parked', () => {
    const maxAttempts = 3
    const team = started(troupe('a'))
    team.script('a', ...crashing(maxAttempts - 1))
    team.die('a')
    team.run(2 * minute)
    expect([team.list(), team.incarnation('a'), team.team.history.children]).toEqual(['a running', 1 + maxAttempts, {}])
  })
})

describe('history', () => {
  /** What the next process gets. */
  const saved = (history: History): History => JSON.parse(JSON.stringify(history))

  test('94 exits in a row, restarts and quarantine outlive the process', () => {
    const spec = troupe('a b d', { intensity: { max: 5, within: minute } })
    const before = started(spec)
    before.script('a', ...crashing(4))
    before.die('a')
    before.run(10_000)
    before.die('b')
    before.run(10_000)
    const team = simulate(spec, { history: saved(before.team.history) })
    team.run(20_000)
    expect([team.ask(start), team.list(), team.timers()]).toEqual([done, 'a quarantined, b running, d running', ['a', 'b']])
    team.die('b')
    // The sixth restart in a minute: five of them are those of the process before.
    expect([team.list(), team.exit]).toEqual(['a stopped, b stopped, d stopped', 'gave_up'])
  })

  test('94 a quarantine that ended while no process ran is tried at boot, but not forgiven', () => {
    const before = started(troupe('a b'))
    before.script('a', ...crashing(4))
    before.die('a')
    before.run(10_000)
    const team = simulate(troupe('a b'), { history: saved(before.team.history) })
    team.run(303_000)
    team.ask(start)
    expect(team.list()).toBe('a running, b running')
    team.die('a')
    expect(team.events.at(-1)).toMatchObject({ name: 'child:quarantined', exits: 6, until: 303_000 + 10 * minute })
  })

  test('94 a quarantine that a clock set which was ahead lasts no longer than one may', () => {
    const standing = { version: '1', exits: 5, quarantines: 1, until: 30 * 24 * 60 * minute }
    const team = simulate(troupe('a'), { history: { restarts: [], children: { a: standing } } })
    team.ask(start)
    expect([team.list(), team.events.at(0)]).toEqual(['a quarantined', expect.objectContaining({ until: 60 * minute })])
    team.run(60 * minute)
    expect(team.list()).toBe('a running')
  })

  test('94 a new version is not held to what an old one did, and a team that boots by a plan has the same memory', () => {
    const spec = troupe('a b')
    const before = started(spec)
    before.script('a', ...crashing(4))
    before.script('b', ...crashing(4))
    before.die('a b')
    before.run(10_000)
    const team = simulate(troupe(''), { history: saved(before.team.history) })
    team.ask(start)
    team.ask(apply({ ...spec, children: spec.children.map((child) => (child.id === 'b' ? { ...child, version: '2' } : child)) }))
    expect(team.list()).toBe('a quarantined, b running')
  })

  test('94 the history is a new object when it changed, and the same one when it did not', () => {
    const team = started(troupe('a b'))
    const first = team.team.history
    team.ask(terminate('b'))
    team.die('a', 'normal')
    const second = team.team.history
    team.run(200)
    team.ask(restart('b'))
    expect([first === second, team.team.history === second]).toEqual([false, true])
  })
})

describe('pause (ours: what OTP terminates comes back with its siblings, case 18)', () => {
  const changed = (spec: TeamSpec, id: string) => ({
    ...spec,
    children: spec.children.map((child) => (child.id === id ? { ...child, version: '2' } : child)),
  })

  test.each(['one_for_all', 'rest_for_one'] as const)('a sibling that crashes starts nobody who is paused: %s', (strategy) => {
    const team = started(otp('a b d', { strategy, intensity: { max: 9, within: 5_000 } }))
    expect([team.ask(pause('b')), team.ev()]).toEqual([done, 'stop b'])
    team.die('a')
    expect([team.list(), team.ask(restart('b')), team.ev()]).toEqual([
      'a running, b stopped, d running',
      done,
      'die a, stop d, start a, start d, start b',
    ])
    team.die('a')
    expect(team.ev()).toBe('die a, stop d, stop b, start a, start b, start d')
  })

  test('a new version of a child that is paused is what its restart starts', () => {
    const spec = troupe('a b')
    const team = started(spec)
    team.ask(pause('a'))
    expect(team.ask(apply(changed(spec, 'a'), ['a']))).toMatchObject({ kind: 'planned', plan: { stop: ['a'] } })
    const before = team.list()
    expect([before, team.ask(restart('a')), team.team.children[0]?.spec.version, team.ev()]).toEqual([
      'a stopped, b running',
      done,
      '2',
      'stop a, start a',
    ])
  })

  test('a child that is still on its way down is not brought up by a reload, also not as one that is wanted again', () => {
    const spec = troupe('a b')
    const team = started(spec, { part: () => ({ stopIn: 50 }) })
    const paused = team.call(pause('a'))
    team.ask(apply({ ...spec, children: spec.children.slice(1) }))
    team.ask(apply(changed(spec, 'a'), ['a']))
    team.run(1_000)
    expect([paused(), team.list()]).toEqual([done, 'a stopped, b running'])
  })

  test('a team that starts brings up nobody who is paused, also not out of quarantine', () => {
    const team = simulate({ ...troupe('a'), children: [] }, { history: parked })
    team.ask(start)
    team.ask(apply(troupe('a b'), ['a', 'b']))
    team.run(2 * 60 * minute)
    expect([team.list(), team.ask(restart('a')), team.list()]).toEqual(['a stopped, b stopped', done, 'a running, b stopped'])
  })

  test('a pause ends a wait and a quarantine, and is not the end of a temporary child', () => {
    const team = started(troupe('a b d:temporary', {}, { budget: 2 }))
    team.die('a b')
    team.run(200)
    team.die('b')
    const before = team.list()
    expect([before, team.ask(pause('b')), team.ask(pause('d')), team.timers()]).toEqual([
      'a running, b quarantined, d running',
      done,
      done,
      ['a'],
    ])
    team.die('a')
    team.run(60 * minute)
    expect([team.list(), team.ask(restart('d')), team.list()]).toEqual([
      'a running, b stopped, d stopped',
      done,
      'a running, b stopped, d running',
    ])
  })
})

const parked: History = { restarts: [], children: { a: { version: '1', exits: 5, quarantines: 1, until: minute } } }
