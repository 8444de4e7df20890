import { expect, test } from 'vitest'
import type { AgentSpec } from '../../src/core/agent.ts'
import type { Exit } from '../../src/core/exit.ts'
import type { Supervision } from '../../src/core/supervision.ts'
import type { Desired } from '../../src/host/desired.ts'
import type { Taken } from '../../src/host/holdings.ts'
import type { Launcher } from '../../src/host/launch.ts'
import { createRunning } from '../../src/host/running.ts'
import type { Launched } from '../../src/host/supervisor.ts'
import type { Versions } from '../../src/host/versions.ts'
import { agent, createJournal, teamOf } from './hosted.ts'

type Options = Parameters<typeof createRunning>[0]

/** Agents a and b whose threads do what they are told. */
function openRunning(options: Pick<Options, 'take'> & Partial<Options>) {
  const journal = createJournal()
  const launch = (): Launched => {
    const exited = Promise.withResolvers<{ exit: 'shutdown' }>()
    const end = () => exited.resolve({ exit: 'shutdown' })
    return { begun: Promise.resolve(), ready: Promise.resolve('ready'), exited: exited.promise, stop: end, kill: end }
  }
  const running = createRunning({
    desired: { teams: [teamOf([agent('a'), agent('b')])], instances: new Map(), stamp: 1, config: {} } as unknown as Desired,
    versions: { resolve: (spec: AgentSpec) => spec } as Versions,
    launcher: { launch } as unknown as Launcher,
    saveSupervision() {},
    retire: async () => {},
    onDown() {},
    onTaken() {},
    emit: journal.emit,
    onGiveUp() {},
    ...options,
  })
  return { journal, running }
}

test('an agent that comes back from another process has against it what was kept there, not what is remembered here', async () => {
  const saved: [string, Supervision][] = []
  let supervision: Record<string, unknown> = {}
  const { journal, running } = openRunning({
    take: async (specs) => specs.map((): Taken => ({ verdict: 'ok', token: 1, state: null, supervision })),
    saveSupervision: (id, one) => void saved.push([id, one]),
  })
  await running.arrange()
  await journal.untilEntry('start b 1')
  running.lose('a')
  await journal.until(({ name }) => name === 'child:dropped')
  const standing = { version: '1', exits: 5, quarantines: 1, until: null }
  supervision = { standing, restarts: [] }
  await running.arrange()
  const statuses = running.which().flatMap(({ children }) => children.map(({ id, status, exits }) => `${id} ${status} ${exits}`))
  expect([statuses, saved]).toEqual([['a quarantined 5', 'b running 0'], []])
  await running.stop({ grace: 1_000 })
})

test('an agent whose lease the store does not take keeps no other from running, and is told of', async () => {
  const { journal, running } = openRunning({
    take: async (specs) =>
      specs.map(({ id }): Taken => {
        if (id === 'a') return { verdict: 'invalid', holder: undefined, freeIn: undefined, error: 'no such text' }
        return { verdict: 'ok', token: 1, state: null, supervision: undefined }
      }),
  })
  await running.arrange()
  await journal.untilEntry('start b 1')
  expect([
    running.which().flatMap(({ children }) => children.map(({ id, status }) => `${id} ${status}`)),
    running.holdings.refusal('a')?.error,
    journal.events.find(({ name }) => name === 'lease:refused'),
  ]).toEqual([
    ['b running'],
    'no such text',
    { name: 'lease:refused', team: 'team', id: 'a', why: 'invalid', holder: undefined, error: 'no such text' },
  ])
  await running.stop({ grace: 1_000 })
})

test('of two instances one is taken, which is what stands instead of the other', async () => {
  const instances = new Map([
    ['a', 'entry'],
    ['b', 'entry'],
  ])
  const { journal, running } = openRunning({
    desired: { teams: [teamOf([agent('a'), agent('b')])], instances, stamp: 1 } as unknown as Desired,
    take: async (specs) =>
      specs.map(({ id }): Taken => {
        if (id === 'a') return { verdict: 'busy', holder: 'n-1', freeIn: 1_000 }
        return { verdict: 'ok', token: 1, state: null, supervision: undefined }
      }),
  })
  const before = running.holdings.instead('a')
  await running.arrange()
  await journal.untilEntry('start b 1')
  expect([before, running.holdings.instead('a'), running.holdings.instead('b'), running.holdings.ids()]).toEqual([
    undefined,
    'b',
    undefined,
    ['b'],
  ])
  await running.stop({ grace: 1_000 })
})

test('leases that arrive after the stop start nothing', async () => {
  const free = Promise.withResolvers<void>()
  const { journal, running } = openRunning({
    async take(specs) {
      await free.promise
      return specs.map((): Taken => ({ verdict: 'ok', token: 1, state: null, supervision: undefined }))
    },
  })
  const arranged = running.arrange()
  await running.stop({ grace: 1_000 })
  free.resolve()
  await arranged
  expect([journal.events, running.which()]).toEqual([[], []])
})

test('a reload to an older copy of a file takes no agent from its own process', async () => {
  let newest = 0
  const { journal, running } = openRunning({
    async take(specs, stamp) {
      const isOlder = stamp < newest
      newest = Math.max(newest, stamp)
      return specs.map((): Taken => {
        if (isOlder) return { verdict: 'older', holder: undefined, freeIn: undefined }
        return { verdict: 'ok', token: 1, state: null, supervision: undefined }
      })
    },
  })
  await running.arrange()
  await journal.untilEntry('start b 1')
  const back = teamOf([agent('a'), agent('b'), agent('c')])
  await running.change({ ...running.desired, teams: [back], stamp: 0 })
  await journal.untilEntry('start c 1')
  expect([running.holdings.ids(), running.holdings.refusal('c')]).toEqual([['a', 'b', 'c'], undefined])
  await running.stop({ grace: 1_000 })
})

test('an agent that was given back is not taken again by the team that is still to stop', async () => {
  const ofTeam = (id: string, child: string) => teamOf([agent(child, { team: id })], { id, intensity: { max: 9, within: 5_000 } })
  const teams = [ofTeam('first', 'a'), ofTeam('last', 'b')]
  const [taken, forgotten]: [string[], string[]] = [[], []]
  const retired = Promise.withResolvers<void>()
  const ends = new Map<string, PromiseWithResolvers<{ exit: Exit }>>()
  const ended = async (id: string) => void (await ends.get(id)?.promise)
  const launch = (spec: AgentSpec, incarnation: number): Launched => {
    const end = Promise.withResolvers<{ exit: Exit }>()
    ends.set(spec.id, end)
    const begin = async () => {
      if (incarnation > 1) await retired.promise
      return (await running.holdings.claim(spec)) ? ('ready' as const) : ('ignored' as const)
    }
    const kill = () => end.resolve({ exit: 'shutdown' })
    // The last team takes its time.
    return { begun: Promise.resolve(), ready: begin(), exited: end.promise, stop: () => spec.id === 'a' && kill(), kill }
  }
  const { journal, running } = openRunning({
    desired: { teams, instances: new Map(), stamp: 1, config: {} } as unknown as Desired,
    launcher: { launch, ended, forget: (id: string) => forgotten.push(id) } as unknown as Launcher,
    async take(specs) {
      taken.push(...specs.map(({ id }) => id))
      return specs.map((): Taken => ({ verdict: 'ok', token: 1, state: null, supervision: undefined }))
    },
    retire: async () => retired.resolve(),
  })
  await running.arrange()
  await running.up()
  await running.change({ ...running.desired, teams: [] })
  ends.get('a')?.resolve({ exit: 'crash' })
  await journal.until((event) => event.name === 'child:ignored' || (event.name === 'child:started' && event.incarnation === 2))
  expect([taken, running.holdings.ids(), forgotten]).toEqual([['a', 'b'], ['b'], ['a']])
  ends.get('b')?.resolve({ exit: 'shutdown' })
  await running.stop({ grace: 1_000 })
})
