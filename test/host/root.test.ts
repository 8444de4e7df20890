import { expect, test } from 'vitest'
import type { AgentSpec } from '../../src/core/agent.ts'
import type { History } from '../../src/core/history.ts'
import { readSupervision, type Supervision, supervisionOf } from '../../src/core/supervision.ts'
import type { Child } from '../../src/host/child.ts'
import { createRoot, type RootOptions } from '../../src/host/root.ts'
import type { TeamOf } from '../../src/host/supervisor.ts'
import { agent, agents, hit, launchIn, openThreads, teamOf } from './hosted.ts'

const none = { max: 0, within: 3_600_000 }
const done = { kind: 'done' }
const trading = teamOf(agents('a b', { team: 'trading' }), { id: 'trading', intensity: none })
const bazaar = teamOf(agents('x', { team: 'bazaar' }), { id: 'bazaar', intensity: none })

/** Teams of real threads under a root, booted. */
async function openRoot(teams: readonly TeamOf<AgentSpec>[], options: Partial<RootOptions<AgentSpec>> = {}) {
  const threads = openThreads()
  const children = new Map<string, Child>()
  const over = Promise.withResolvers<void>()
  const launch = launchIn(threads, (child) => children.set(child.spec.id, child))
  const root = createRoot({ launch, emit: threads.journal.emit, onGiveUp: over.resolve, ...options })
  await root.apply(teams)
  for (const { children: specs } of teams) await threads.journal.untilEntry(`start ${specs.at(-1)?.id} 1`)
  return {
    ...root,
    journal: threads.journal,
    over: over.promise,
    hit(id: string, type = 'exit') {
      const child = children.get(id)
      if (!child) throw new Error(`${id} was never started`)
      return hit(child, type, 3)
    },
    statuses: () =>
      root.which().map(({ id, status, children: views }) => `${id} ${status}: ${views.map((child) => child.status).join(' ')}`),
    parked: (id: string, incarnation = 1) =>
      threads.journal.until(
        (event) => event.name === 'child:quarantined' && event.team === 'root' && event.id === id && event.incarnation === incarnation,
      ),
    async [Symbol.asyncDispose]() {
      root.kill()
      await threads.close()
    },
  }
}

test('a team that gives up is parked, the others go on; when none is left, the process is told', async () => {
  await using root = await openRoot([trading, bazaar])
  await root.hit('a')
  await root.parked('trading')
  expect(root.statuses()).toEqual(['trading quarantined: stopped stopped', 'bazaar running: running'])
  await root.hit('x')
  await root.over
  expect(root.statuses()).toEqual(['trading quarantined: stopped stopped', 'bazaar quarantined: stopped'])
})

test('a parked team comes back with a command or with a change, not with the same spec', async () => {
  await using root = await openRoot([trading, bazaar])
  await root.hit('a')
  await root.parked('trading')
  await root.apply([trading, bazaar])
  expect([root.statuses()[0], await root.restart('a')]).toEqual([
    'trading quarantined: stopped stopped',
    { kind: 'refused', why: 'team_down' },
  ])
  expect([await root.restart('trading')]).toEqual([done])
  await root.journal.until(() => root.statuses()[0] === 'trading running: running running')
  await root.hit('a')
  await root.parked('trading', 2)
  await root.apply([{ ...trading, children: [agent('a', { version: '2', team: 'trading' })] }, bazaar])
  await root.journal.until(() => root.statuses()[0] === 'trading running: running')
})

test('a team that comes back, and a new version, leave alone who is paused, until somebody resumes it', async () => {
  const paused = new Set(['b'])
  const team = teamOf(agents('b a', { team: 'trading' }), { id: 'trading', intensity: none })
  await using root = await openRoot([bazaar, team], { isHeld: (id) => paused.has(id) })
  const held = root.statuses()
  await root.hit('a')
  await root.parked('trading')
  await root.restart('trading')
  await root.journal.until(() => root.statuses()[1] === 'trading running: stopped running')
  await root.apply([bazaar, { ...team, children: [agent('b', { version: '2', team: 'trading' }), agent('a', { team: 'trading' })] }])
  expect([held, root.statuses()]).toEqual([
    ['bazaar running: running', 'trading running: stopped running'],
    ['bazaar running: running', 'trading running: stopped running'],
  ])
  paused.delete('b')
  expect([await root.restart('b'), root.statuses()[1]]).toEqual([done, 'trading running: running running'])
})

test('a reload reaches into a team that runs, takes away one that is gone, and changes nothing when it is faulty', async () => {
  await using root = await openRoot([trading, bazaar])
  root.journal.ev()
  const twice = { ...trading, children: agents('a a') }
  expect(await root.apply([twice, bazaar])).toMatchObject({ trading: { kind: 'invalid' }, bazaar: { kind: 'invalid' } })
  const [a, b] = trading.children
  if (!a || !b) throw new Error('there are two')
  expect(await root.apply([{ ...trading, children: [a, { ...b, version: '2' }] }])).toMatchObject({ trading: { plan: { stop: ['b'] } } })
  await root.journal.untilEntry('start b 2')
  await root.journal.until((event) => event.name === 'child:dropped' && event.id === 'bazaar')
  expect(root.statuses()).toEqual(['trading running: running running'])
})

test('an agent that cannot start is parked alone', async () => {
  await using root = await openRoot([bazaar])
  const broken = agent('a', { act: { init: 'throw' }, budget: 2, team: 'trading' })
  const team = { ...trading, intensity: { max: 5, within: 1_000 }, children: [broken, agent('b', { team: 'trading' })] }
  await root.apply([team, bazaar])
  await root.journal.until((event) => event.name === 'child:quarantined')
  await root.journal.untilEntry('start b 1')
  expect(root.statuses()).toEqual(['trading running: quarantined running', 'bazaar running: running'])
})

test('an agent that moves to another team is found there', async () => {
  await using root = await openRoot([trading, bazaar])
  await root.apply([{ ...bazaar, children: agents('x b', { team: 'bazaar' }) }])
  await root.journal.until(() => root.statuses().join() === 'bazaar running: running running')
  expect(await root.renew('b')).toEqual(done)
})

test('commands find an agent in its team, and a stop goes through all teams from last to first', async () => {
  await using root = await openRoot([trading, bazaar])
  root.journal.ev()
  expect([await root.pause('a'), await root.restart('a'), await root.renew('x'), await root.renew('nobody')]).toEqual([
    done,
    done,
    done,
    { kind: 'refused', why: 'not_found' },
  ])
  await root.journal.untilEntry('start x 2')
  await root.stop({ grace: 5_000 })
  expect(root.journal.ev()).toBe('stop a, start a, stop x, start x, stop x, stop bazaar, stop b, stop a, stop trading')
})

test('what a team remembers is saved by team, and given back', async () => {
  let saved: Supervision = { restarts: [] }
  const parkable = { ...bazaar, children: agents('x', { team: 'bazaar', budget: 1 }) }
  const saveHistory = (_: string, history: History) => {
    saved = readSupervision(JSON.parse(JSON.stringify(supervisionOf(history, 'x'))), Number.POSITIVE_INFINITY)
  }
  {
    await using root = await openRoot([trading, parkable], { saveHistory })
    await root.hit('x')
    await root.journal.until((event) => event.name === 'child:quarantined' && event.id === 'x')
  }
  await using root = await openRoot([trading])
  await root.apply([trading, parkable], new Map([['x', saved]]))
  await root.journal.until((event) => event.name === 'child:quarantined' && event.id === 'x' && event.incarnation === 0)
  expect(root.statuses()).toEqual(['trading running: running running', 'bazaar running: quarantined'])
  await root.apply([trading, { ...parkable, children: [] }])
  await root.apply([trading, parkable], new Map([['x', saved]]))
  expect(root.statuses()).toEqual(['trading running: running running', 'bazaar running: quarantined'])
})
