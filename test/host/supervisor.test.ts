import { describe, expect, test } from 'vitest'
import type { History } from '../../src/core/history.ts'
import { agent, agents, hit, hostTeam, launchIn, openThreads, teamOf, turn } from './hosted.ts'

const hour = 3_600_000
const lots = { max: 10, within: hour }
const none = { max: 0, within: hour }
const done = { kind: 'done' }

/** Starts a team and forgets what that looked like. */
async function hosted(...args: Parameters<typeof hostTeam>) {
  const team = hostTeam(...args)
  expect(await team.supervisor.start()).toEqual(done)
  team.ev()
  return team
}

describe("OTP's cases with threads", () => {
  test('1 children start one after the other, and the start is over when the last is up', async () => {
    await using team = hostTeam(teamOf(agents('a b d')))
    expect([await team.supervisor.start(), team.ev()]).toEqual([done, 'start a, start b, start d'])
  })

  test('2 a child that cannot start takes the team down again', async () => {
    const children = [...agents('a b'), agent('d', { act: { init: 'throw' } }), agent('e')]
    await using team = hostTeam(teamOf(children, { intensity: lots }))
    expect([await team.supervisor.start(), team.ev(), await team.supervisor.ended]).toEqual([
      { kind: 'failed', id: 'd', exit: 'start_failed', detail: 'init of "d" failed: no luck' },
      'start a, start b, fail d, stop b, stop a',
      'start_failed',
    ])
  })

  test('8 one_for_one restarts the one that crashed', async () => {
    await using team = await hosted(teamOf(agents('a b d')))
    await hit(team.child('b'), 'throwInTimer')
    await team.untilEntry('start b 2')
    expect([team.ev(), team.supervisor.which().map(({ incarnation }) => incarnation)]).toEqual(['die b, start b', [1, 2, 1]])
  })

  test('9 one_for_all restarts all', async () => {
    await using team = await hosted(teamOf(agents('a b d e'), { strategy: 'one_for_all' }))
    await hit(team.child('b'), 'exit', 3)
    await team.untilEntry('start e 2')
    expect(team.ev()).toBe('die b, stop e, stop d, stop a, start a, start b, start d, start e')
  })

  test('10 rest_for_one restarts those after it', async () => {
    await using team = await hosted(teamOf(agents('a b d e'), { strategy: 'rest_for_one' }))
    await hit(team.child('b'), 'reject')
    await team.untilEntry('start e 2')
    expect(team.ev()).toBe('die b, stop e, stop d, start b, start d, start e')
  })

  test('20 a permanent child is restarted however it ends', async () => {
    await using team = await hosted(teamOf(agents('a'), { intensity: lots }))
    const ways = [
      () => void hit(team.child('a'), 'exit', 0),
      () => team.child('a').stop(),
      () => void hit(team.child('a'), 'exit', 3),
      () => void hit(team.child('a'), 'throwNull'),
      () => team.child('a').kill(),
    ]
    for (const [index, end] of ways.entries()) {
      end()
      await team.untilEntry(`start a ${index + 2}`)
    }
    const exits = team.events.flatMap((event) => (event.name === 'child:exited' ? [event.exit] : []))
    expect([team.started.length, exits]).toEqual([6, ['normal', 'shutdown', 'crash', 'crash', 'crash']])
  })

  test('24 a temporary child is never restarted, and forgotten', async () => {
    await using team = await hosted(teamOf(agents('a:temporary b:temporary'), { intensity: none }))
    await Promise.all([hit(team.child('a'), 'throwInTimer'), hit(team.child('b'), 'exit', 0)])
    await Promise.all(['a', 'b'].map((id) => team.until((event) => event.name === 'child:dropped' && event.id === id)))
    expect(team.supervisor.which()).toEqual([])
  })

  test('27 a team without a budget ends with the first crash, with a reason of its own', async () => {
    await using team = await hosted(teamOf(agents('a b d'), { intensity: none }))
    await hit(team.child('b'), 'throwInTimer')
    expect([await team.supervisor.ended, team.ev()]).toEqual(['gave_up', 'die b, stop d, stop a'])
  })

  test('28 three restarts are granted, the fourth crash ends the team', async () => {
    await using team = await hosted(teamOf(agents('a'), { intensity: { max: 3, within: hour } }))
    for (const next of [2, 3, 4]) {
      await hit(team.child('a'), 'exit', 3)
      await team.untilEntry(`start a ${next}`)
    }
    await hit(team.child('a'), 'exit', 3)
    expect([await team.supervisor.ended, team.started.length]).toEqual(['gave_up', 4])
  })

  test('49, 50 a stop goes from last to first and passes over who is down', async () => {
    await using team = await hosted(teamOf(agents('a b:transient d')))
    await hit(team.child('b'), 'exit', 0)
    await team.untilEntry('die b 1')
    await team.supervisor.stop()
    expect([team.ev(), await team.supervisor.ended]).toEqual(['die b, stop d, stop a', 'shutdown'])
  })

  test('51 a child that does not stop is killed when its time is over', async () => {
    const stubborn = agent('b', { act: { stop: 'never' }, shutdown: 300 })
    await using team = await hosted(teamOf([agent('a'), stubborn]))
    const asked = performance.now()
    await Promise.all([team.supervisor.stop(), team.untilEntry('kill b 1')])
    const took = performance.now() - asked
    expect([team.ev(), took >= 299, team.events.find(({ name }) => name === 'child:exited')]).toEqual([
      'kill b, stop a',
      true,
      expect.objectContaining({ intended: true, detail: 'killed: it did not stop in time' }),
    ])
  })

  test('54 children stop one after the other', async () => {
    await using team = await hosted(teamOf(agents('a b d e', { act: { stopIn: 50 } })))
    const asked = performance.now()
    await team.supervisor.stop()
    expect([team.ev(), performance.now() - asked >= 190]).toEqual(['stop e, stop d, stop b, stop a', true])
  })

  test.each(['stuck', 'block'] as const)(
    '89 a child that is stuck while it starts is killed, and counts as one attempt: %s',
    async (init) => {
      const stuck = agent('b', { act: { init }, startTimeout: 200 })
      await using team = await hosted(teamOf(agents('a'), { intensity: { max: 2, within: hour } }))
      await team.supervisor.apply(teamOf([agent('a'), stuck], { intensity: { max: 2, within: hour } }))
      expect([await team.supervisor.ended, team.ev()]).toEqual(['gave_up', 'fail b, fail b, fail b, stop a'])
      expect(team.events.find(({ name }) => name === 'child:exited')).toMatchObject({ id: 'b', exit: 'start_timeout' })
    },
  )

  test('90 a child that waits holds up nobody, and a stop ends its wait', async () => {
    const backoff = { first: hour, max: hour, jitter: 0, reset: hour }
    await using team = await hosted(teamOf(agents('a b d', { backoff }), { intensity: lots }))
    await hit(team.child('a'), 'throwInTimer')
    await team.until(({ name }) => name === 'child:delayed')
    const { supervisor } = team
    expect([await supervisor.restart('a'), await supervisor.pause('b'), await supervisor.restart('b')]).toEqual([
      { kind: 'refused', why: 'restarting' },
      done,
      done,
    ])
    expect([supervisor.which()[0], await supervisor.pause('a'), await supervisor.restart('a')]).toEqual([
      { id: 'a', status: 'waiting', incarnation: 1, exits: 1, until: expect.any(Number), since: expect.any(Number) },
      done,
      done,
    ])
    await hit(team.child('a'), 'throwInTimer')
    await supervisor.stop()
    expect([team.ev(), await supervisor.ended]).toEqual(['die a, stop b, start b, start a, die a, stop d, stop b', 'shutdown'])
  })
})

test('a reload touches only what changed', async () => {
  await using team = await hosted(teamOf(agents('a b d')))
  const spec = teamOf([agent('a'), agent('b', { version: '2' }), agent('n')])
  expect(await team.supervisor.apply(spec)).toMatchObject({ kind: 'planned', plan: { stop: ['b', 'd'] } })
  await team.untilEntry('start n 1')
  expect([team.ev(), team.supervisor.which().map(({ id, incarnation }) => id + incarnation)]).toEqual([
    'stop d, stop b, start b, start n',
    ['a1', 'b2', 'n1'],
  ])
})

test('a pause lasts, a restart ends it, and a renewal also takes down who is up', async () => {
  await using team = await hosted(teamOf(agents('a b')))
  const { supervisor } = team
  expect([await supervisor.pause('a'), await supervisor.apply(teamOf(agents('a b'))), team.ev()]).toEqual([
    done,
    { kind: 'planned', plan: { stop: [], start: [] } },
    'stop a',
  ])
  expect([await supervisor.restart('a'), await supervisor.restart('a'), await supervisor.renew('b')]).toEqual([
    done,
    { kind: 'refused', why: 'running' },
    done,
  ])
  await team.untilEntry('start b 2')
  expect(team.ev()).toBe('start a, stop b, start b')
})

test('a child that starts anew and fails at first comes up with the next try', async () => {
  await using threads = openThreads()
  const broken = JSON.stringify({ init: 'throw' })
  await using team = await hosted(teamOf(agents('a:temporary b'), { intensity: lots }), {
    launch: (spec, incarnation) => launchIn(threads)(incarnation === 2 && spec.id === 'b' ? { ...spec, args: broken } : spec, incarnation),
  })
  team.supervisor.outdated('a')
  team.supervisor.outdated('b')
  await team.untilEntry('start b 3')
  expect([team.ev(), team.supervisor.which().map(({ id, status }) => `${id} ${status}`)]).toEqual([
    'stop a, stop b, start a, fail b, start b',
    ['a running', 'b running'],
  ])
})

test('a quarantine outlives the process, and a command ends it', async () => {
  const saved: string[] = []
  const spec = teamOf(agents('a', { budget: 2 }))
  await using before = await hosted(spec, { saveHistory: (history) => saved.push(JSON.stringify(history)) })
  await hit(before.child('a'), 'exit', 3)
  await before.untilEntry('start a 2')
  await hit(before.child('a'), 'exit', 3)
  await before.until(({ name }) => name === 'child:quarantined')
  await before.supervisor.stop()

  await using after = await hosted(spec, { history: JSON.parse(saved.at(-1) ?? '') as History })
  const [parked] = after.supervisor.which()
  expect([parked, await after.supervisor.restart('a'), after.ev()]).toEqual([
    { id: 'a', status: 'quarantined', incarnation: 0, exits: 2, until: expect.any(Number), since: expect.any(Number) },
    done,
    'start a',
  ])
})

test('what launch throws is a failed start', async () => {
  await using team = hostTeam(teamOf(agents('a')), {
    launch() {
      throw new Error('no room')
    },
  })
  expect(await team.supervisor.start()).toEqual({ kind: 'failed', id: 'a', exit: 'start_failed', detail: 'no room' })
})

test('a team that does not stop in its grace is killed', async () => {
  await using team = await hosted(teamOf(agents('a b', { act: { stop: 'never' }, shutdown: Number.POSITIVE_INFINITY })))
  await team.supervisor.stop({ grace: 100 })
  await team.supervisor.stop()
  expect([team.ev().split(', ').sort(), team.threads.stats().children]).toEqual([['kill a', 'kill b'], 0])
})

test('neighbours of a child that crashes answer on', async () => {
  await using team = await hosted(teamOf(agents('a b'), { intensity: lots }))
  const crash = hit(team.child('a'), 'throwInTimer')
  expect([await turn(team.child('b'), 'echo', 1), (await crash).exit]).toEqual([expect.objectContaining({ reply: '1' }), 'crash'])
})
