import { expect, test } from 'vitest'
import type { AgentSpec } from '../../src/core/agent.ts'
import type { Child } from '../../src/host/child.ts'
import { createLauncher } from '../../src/host/launch.ts'
import { createOffice } from '../../src/host/office.ts'
import { createSupervisor, type Launched } from '../../src/host/supervisor.ts'
import type { Store } from '../../src/store/store.ts'
import { createFakeChild } from './fake-child.ts'
import { agent, createJournal, teamOf } from './hosted.ts'

const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve))

/** A launcher of fake threads, on a store that answers commits from `answer` on. */
function openLauncher() {
  const log: string[] = []
  const ends: string[] = []
  const answered = Promise.withResolvers<void>()
  const loaded = Promise.withResolvers<void>()
  const store = {
    async call(_: string, { p_batch: { turns, refills = [] } }: { p_batch: { turns: object[]; refills?: { agent_id: string }[] } }) {
      await answered.promise
      const taken = refills.map(({ agent_id }) => ({ agent_id, verdict: 'ok', messages: [] }))
      return { turns: turns.map(() => ({ verdict: 'ok', messages: [] })), refills: taken, replies: [] }
    },
  } as unknown as Store
  const office = createOffice({ store, emit() {}, isDown: () => false })

  function start({ id }: AgentSpec, incarnation: number): Child {
    const child = createFakeChild(id, { init: () => ({ state: 0 }) }, incarnation)
    child.onFrame(() => loaded.resolve())
    let hasEnded = false
    const exited = child.exited.then((how) => {
      hasEnded = true
      return { ...how, record: {} }
    })
    const stop = () => {
      ends.push(`stop ${id}`)
      child.post({ kind: 'stop', actor: id })
    }
    const kill: Child['kill'] = (why) => {
      if (!hasEnded) ends.push(`kill ${id}`)
      child.kill(why)
    }
    return Object.assign(Object.create(child), { exited, stop, kill }) as Child
  }

  const launcher = createLauncher({
    threads: { start },
    office,
    manifestOf: async () => ({ messages: {}, jobs: {}, sql: [], origins: [], persist: true }),
    async claim({ id }) {
      log.push(`claim ${id}`)
      return { token: log.length, state: null, supervision: undefined }
    },
    onOpen() {},
    onClosing() {},
    onClosed: (_, { id }) => log.push(`committed ${id}`),
    onUp() {},
    onNotOurs() {},
    onRestart() {},
    onJobsLeft() {},
    onWorthClaiming() {},
  })
  return {
    launcher,
    log,
    /** What its threads were told to end. */
    ends,
    loaded: loaded.promise,
    answer: () => answered.resolve(),
    [Symbol.asyncDispose]: () => office.close({ grace: 0 }),
  }
}

test('an incarnation waits for the commits of those before it, also if one of them was ended before it had a thread', async () => {
  await using opened = openLauncher()
  const { launcher, log, loaded, answer } = opened
  const spec = agent('a')
  const first = launcher.launch(spec, 1)
  await loaded
  first.kill()
  await first.exited
  const second = launcher.launch(spec, 2)
  second.kill()
  await second.exited
  const third = launcher.launch(spec, 3)
  for (let looks = 0; looks < 10; looks++) await turnOfTheLoop()
  answer()
  await third.ready
  expect(log).toEqual(['claim a', 'committed a', 'claim a'])
})

test('one that is stopped before it is up is asked to stop, and not killed', async () => {
  await using opened = openLauncher()
  const { launcher, ends, loaded, answer } = opened
  const journal = createJournal()
  const supervisor = createSupervisor<AgentSpec>({ team: teamOf([]), launch: launcher.launch, emit: journal.emit })
  await supervisor.start()
  await supervisor.apply(teamOf([agent('a')]))
  await loaded
  const paused = supervisor.pause('a')
  answer() // its init stands: it is about to come up
  await paused
  expect(ends).toEqual(['stop a'])
  await supervisor.stop()
})

test('of an agent that left nothing is kept, and who comes under its id is new', async () => {
  await using opened = openLauncher()
  const { launcher, answer } = opened
  answer()
  const { ready, kill, exited } = launcher.launch(agent('a'), 1)
  await ready
  kill()
  await exited
  await launcher.ended('a')
  const before = [launcher.life('a')?.incarnation, launcher.wasUp('a'), launcher.exit('a') !== undefined]
  launcher.forget('a')
  const after = [launcher.life('a'), launcher.wasUp('a'), launcher.exit('a')]
  expect([before, after]).toEqual([
    [1, true, true],
    [undefined, false, undefined],
  ])
})

test('whoever waits for a start that may take for months is told of it when it is up', async () => {
  await using opened = openLauncher()
  const { launcher, answer } = opened
  const up = launcher.settled('a', '1', 100 * 86_400_000)
  const { ready } = launcher.launch(agent('a'), 1)
  await new Promise((resolve) => setTimeout(resolve, 5))
  answer()
  expect([await up.then(() => 'up'), await ready]).toEqual(['up', 'ready'])
})

test('only the start of its own counts against an incarnation that has to wait for the store', async () => {
  const journal = createJournal()
  const [back, held] = [Promise.withResolvers<void>(), Promise.withResolvers<never>()]
  const launch = ({ id }: AgentSpec): Launched => {
    const exited = Promise.withResolvers<{ exit: 'crash' }>()
    const begun = id === 'waits' ? back.promise : Promise.resolve()
    const ready = id === 'waits' ? begun.then(() => 'ready' as const) : held.promise
    const kill = () => exited.resolve({ exit: 'crash' })
    return { begun, ready, exited: exited.promise, stop: kill, kill }
  }
  const supervise = async (id: string) => {
    const supervisor = createSupervisor<AgentSpec>({ team: teamOf([], { id }), launch, emit: journal.emit })
    await supervisor.start()
    await supervisor.apply(teamOf([agent(id, { startTimeout: 50, budget: 1 })], { id }))
    return supervisor
  }
  const supervisors = [await supervise('waits'), await supervise('hangs')]
  await journal.until(({ name }) => name === 'child:quarantined')
  back.resolve()
  await journal.untilEntry('start waits 1')
  expect(journal.ev()).toBe('fail hangs, start waits')
  await Promise.all(supervisors.map(({ stop }) => stop()))
})
