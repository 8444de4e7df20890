import { EventEmitter } from 'node:events'
import { type AgentSpec, agentDefaults } from '../../src/core/agent.ts'
import type { Event, Events } from '../../src/core/events.ts'
import { defaults } from '../../src/core/spec.ts'
import { systemClock } from '../../src/host/clock.ts'
import { createDesk, type Desk } from '../../src/host/desk.ts'
import { createLeases } from '../../src/host/lease.ts'
import { createOffice } from '../../src/host/office.ts'
import { createPump } from '../../src/host/pump.ts'
import { type Backend, openBackend, storeOver } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { makeDatabase } from '../embedded-folder.ts'
import { nextEvent, tempFolder } from '../helpers.ts'
import { createFakeChild, type FakeActor, type FakeChild } from './fake-child.ts'

/** The embedded store with plain SQL beside it, in a folder of its own. */
export async function openTestStore(): Promise<{ store: Store; backend: Backend } & AsyncDisposable> {
  const folder = await tempFolder()
  await makeDatabase(folder.path)
  const backend = await openBackend({ env: {}, folder: folder.path })
  const store = storeOver(backend)
  return {
    store,
    backend,
    async [Symbol.asyncDispose]() {
      await store.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

export function specOf(id: string, more: Partial<AgentSpec> = {}): AgentSpec {
  const identity = { id, version: '1', team: 'test', type: id, file: `${id}.ts`, args: '{}' }
  return { ...defaults.child, ...agentDefaults, ...identity, ...more }
}

export type Runner = { readonly spec: AgentSpec; child: FakeChild; desk: Desk; incarnations: number; readonly stop: () => Promise<void> }
type Emitted = { [Name in keyof Events]: [Extract<Event, { name: Name }>] }

export type NodeOptions = {
  readonly isDown?: (agent: string) => boolean
  readonly poll?: { readonly min: number; readonly max: number }
  readonly lease?: number
}

/** A process of its own on the store: everything of the message path, and fake threads that start again when they end. */
export function startNode(
  store: Store,
  name: string,
  { isDown = () => false, poll = { min: 20, max: 60 }, lease = 15_000 }: NodeOptions = {},
) {
  const events = new EventEmitter<Emitted>()
  events.setMaxListeners(0)
  const log: Event[] = []
  const emit = (event: Event) => {
    log.push(event)
    events.emit(event.name, event as never)
  }
  const runners = new Map<string, Runner>()
  const office = createOffice({ store, emit, isDown, poll })
  const { patience } = office
  const pump = createPump({ store, patience, clock: systemClock, emit, poll })
  const leases = createLeases({
    store,
    node: name,
    patience,
    clock: systemClock,
    emit,
    lease,
    onDoubt: (isInDoubt) => {
      pump.doubt(isInDoubt)
      for (const { desk } of runners.values()) desk.doubt(isInDoubt)
    },
    onLost: (agent) => {
      const runner = runners.get(agent)
      runners.delete(agent)
      runner?.desk.lose()
      runner?.child.kill()
    },
  })

  /** Starts an agent, and again whenever its thread ends or it has to. */
  async function start(id: string, actor: FakeActor, more: Partial<AgentSpec> & { limit?: number } = {}, sql: readonly string[] = []) {
    const spec = specOf(id, more)
    let isStopped = false

    async function launch(incarnation: number): Promise<Runner> {
      const [taken] = await leases.take([
        { agent_id: id, agent_type: spec.type, spec_version: spec.version, ...(more.limit && { mailbox_limit: more.limit }) },
      ])
      if (taken?.verdict !== 'ok' || taken.lease_token === undefined) throw new Error(`${id} is ${taken?.verdict}`)
      const child = createFakeChild(id, actor, incarnation)
      const desk = createDesk({
        spec,
        child,
        token: taken.lease_token,
        state: taken.state ?? null,
        sql,
        office,
        onRestart: () => child.kill(),
        onJobsLeft: (jobs) => void pump.release(jobs),
        onWorthClaiming: () => pump.wake(),
      })
      leases.attach(id, { report: () => ({ agent_type: spec.type, status: desk.report().status }), jobs: desk.jobs, loseJob: desk.loseJob })
      const removeTaker = pump.add({
        agent: id,
        token: desk.token,
        types: Object.keys(actor.run ?? {}),
        free: desk.free,
        give: desk.give,
      })
      const current: Runner = runners.get(id) ?? { spec, child, desk, incarnations: 0, stop }
      Object.assign(current, { child, desk, incarnations: incarnation })
      runners.set(id, current)
      void child.exited.then(async () => {
        removeTaker()
        await desk.settled
        if (isStopped || !runners.has(id)) return
        await launch(incarnation + 1).catch((error) => {
          if (!isStopped) throw error
        })
      })
      await desk.start()
      return current
    }

    async function stop(): Promise<void> {
      isStopped = true
      const runner = runners.get(id)
      if (!runner) return
      runner.desk.drain({ abortAfter: 100 })
      await runner.desk.settled
      runner.child.post({ kind: 'stop', actor: id })
      await runner.child.exited
      runners.delete(id)
      await leases.release([id])
    }

    return launch(1)
  }

  return {
    ...office,
    office,
    leases,
    pump,
    events,
    log,
    runners,
    start,
    next: <Name extends keyof Events>(event: Name, filter?: (payload: Extract<Event, { name: Name }>) => boolean) =>
      nextEvent(events, event, filter ? { filter: filter as never } : {}) as Promise<Extract<Event, { name: Name }>>,
    /** Sends a message from outside. */
    async tell(to: string, type: string, body: unknown = null, more: object = {}) {
      const id = crypto.randomUUID()
      const message = { id, from_agent: 'outside', to_agent: to, type, body: JSON.stringify(body), ...more }
      return { id, verdict: await office.outbox.send(message) }
    },
    ask(to: string, type: string, body: unknown = null, timeout = 10_000) {
      const message = { id: crypto.randomUUID(), to, type, body: JSON.stringify(body) }
      return office.asks.ask({ from: 'outside', chain: [], key: `outside:${message.id}`, message, timeout })
    },
    /** Ends as SIGKILL would: nothing is said to anybody. */
    async vanish() {
      for (const { child } of runners.values()) child.kill()
      runners.clear()
      await office.close({ grace: 0 })
      await pump.close()
      await leases.close()
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...runners.values()].map(({ stop }) => stop()))
      await office.close({ grace: 1_000 })
      await pump.close()
      await leases.close()
    },
  }
}

export type TestNode = ReturnType<typeof startNode>
