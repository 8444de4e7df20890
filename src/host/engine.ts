import type { AgentSpec, LeaseTimes, Manifest } from '../core/agent.ts'
import type { Event } from '../core/events.ts'
import type { Job } from '../core/message.ts'
import type { Supervision } from '../core/supervision.ts'
import type { Services } from '../services/service.ts'
import type { Hint } from '../store/hints.ts'
import type { Store } from '../store/store.ts'
import type { Desk } from './desk.ts'
import type { Heard } from './heartbeat.ts'
import type { Taken } from './holdings.ts'
import { createLeases } from './lease.ts'
import { createOffice, type OpenOffice } from './office.ts'
import { createPump } from './pump.ts'

/** The way of messages and jobs through this process, and the leases that it works under. */
export type Engine = {
  readonly office: OpenOffice
  /** Asks for agents; the answers wait for the store. Undefined: the process ends. */
  take(specs: readonly AgentSpec[], stamp: number): Promise<readonly (Taken | undefined)[]>
  /** From now on the agent is reported, and jobs are claimed for it. */
  open(desk: Desk, spec: AgentSpec, manifest: Manifest): void
  /** No jobs are claimed for it any more. */
  closing(desk: Desk): void
  closed(desk: Desk, spec: AgentSpec): void
  /** Nobody answers for this agent now. */
  down(id: string): void
  /** Somebody says that there is something to take. */
  hint(hint: Hint): void
  leaveJobs(jobs: readonly Job[]): void
  /** There may be a job to claim. */
  claimJobs(): void
  saveSupervision(id: string, supervision: Supervision): void
  /** Gives an agent back for good: it is in no config any more. */
  retire(id: string, stamp: number): Promise<void>
  readonly isInDoubt: boolean
  /** Everything stops where it is: nothing is committed any more, and no lease given back. */
  kill(): void
  /** Waits for what is left to commit, then gives all leases back. */
  close(options: { readonly grace: number }): Promise<void>
}

export type EngineOptions = {
  readonly store: Store
  readonly node: string
  readonly leases: LeaseTimes
  /** Ms between two looks at the table, at random between these. */
  readonly poll?: { readonly min: number; readonly max: number }
  readonly emit: (event: Event) => void
  readonly services?: Services
  /** Whether an agent of this process is known not to run. */
  readonly isDown: (id: string) => boolean
  readonly onLost: (id: string) => void
}

type Open = { readonly desk: Desk; readonly detach: () => void; readonly removeTaker: () => void }

export function createEngine({ store, node, leases: times, poll, emit, services, isDown, onLost }: EngineOptions): Engine {
  const desks = new Map<string, Open>()
  const office = createOffice({ store, emit, isDown, ...(services && { services }), ...(poll && { poll }) })
  const { clock, patience } = office
  const pump = createPump({ store, patience, clock, emit, lease: times.jobs, ...(poll && { poll }) })
  let isKilled = false
  const leases = createLeases({
    store,
    node,
    patience,
    clock,
    emit,
    lease: times.agents,
    jobLease: times.jobs,
    onDoubt(isInDoubt) {
      pump.doubt(isInDoubt)
      for (const { desk } of desks.values()) desk.doubt(isInDoubt)
    },
    onLost(agent) {
      desks.get(agent)?.desk.lose()
      onLost(agent)
    },
  })

  function hint(given: Hint): void {
    const { router } = office
    switch (given.kind) {
      case 'message':
        // What an agent of this process sends is handed over by its own commit.
        if (router.has(given.from)) return
        if (given.to === null) router.wake()
        else if (router.has(given.to)) router.wake(given.to)
        return
      case 'job':
        return pump.wake(given.type)
      case 'anything':
        router.wake()
        return pump.wake()
    }
  }

  /** In its last moments the store may be away: whoever comes next waits for the leases to run out. */
  async function release(grace: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = clock.after(grace, resolve)
    await Promise.race([leases.releaseAll(), late])
    cancel()
  }

  return {
    office,
    async take(specs, stamp) {
      const answers = await leases.take(
        specs.map(({ id, type, version, mailboxLimit }) => ({
          agent_id: id,
          agent_type: type,
          spec_version: version,
          spec_stamp: stamp,
          ...(mailboxLimit !== undefined && { mailbox_limit: mailboxLimit }),
        })),
      )
      return answers.map((answer) => answer && takenOf(answer))
    },
    open(desk, spec, manifest) {
      const { agent, token } = desk
      const detach = leases.attach(agent, { report: () => reportOf(desk, spec), jobs: desk.jobs, loseJob: desk.loseJob })
      const removeTaker = pump.add({ agent, token, types: Object.keys(manifest.jobs), free: desk.free, give: desk.give })
      desks.set(agent, { desk, detach, removeTaker })
      if (leases.isInDoubt) desk.doubt(true)
    },
    closing(desk) {
      const open = desks.get(desk.agent)
      if (open?.desk === desk) open.removeTaker()
    },
    closed(desk, { type, version }) {
      const { agent } = desk
      const open = desks.get(agent)
      if (open?.desk !== desk) return
      open.detach()
      open.removeTaker()
      desks.delete(agent)
      // The lease is still held: others see that nobody works under it.
      const report = () => ({ agent_type: type, version, status: isDown(agent) ? ('error' as const) : ('offline' as const) })
      leases.attach(agent, { report, jobs: () => [], loseJob() {} })
    },
    down: (id) => office.asks.down(id),
    hint,
    leaveJobs: (jobs) => void pump.release(jobs),
    claimJobs: () => pump.wake(),
    saveSupervision: (id, supervision) => leases.remember(id, JSON.parse(JSON.stringify(supervision))),
    retire: (id, stamp) => leases.release([id], { retire: { stamp } }),
    get isInDoubt() {
      return leases.isInDoubt
    },
    kill() {
      isKilled = true
      void Promise.all([office.close({ grace: 0 }), pump.close(), leases.close()])
    },
    async close({ grace }) {
      if (isKilled) return
      const until = clock.now() + grace
      await pump.close()
      await office.outbox.close({ grace })
      await release(Math.max(lastWords, until - clock.now()))
      await leases.close()
      await office.close({ grace: 0 })
    },
  }
}

/** Ms for giving leases back, also when nothing is left of the grace. */
const lastWords = 1_000

function takenOf({ verdict, lease_token: token, state, supervision, node_id, expires_in_ms: freeIn, error }: Heard): Taken {
  if (verdict === 'ok' && token !== undefined) return { verdict, token, state: state ?? null, supervision }
  const why = verdict === 'older' || verdict === 'invalid' ? verdict : 'busy'
  return { verdict: why, holder: node_id ?? undefined, freeIn, error }
}

function reportOf(desk: Desk, { type, version, maxLoad }: AgentSpec) {
  const { status, reason, job, load } = desk.report()
  return {
    agent_type: type,
    status,
    version,
    current_load: load,
    max_load: maxLoad,
    ...(reason !== undefined && { blocked_reason: reason }),
    ...(job !== undefined && { current_job: job }),
  }
}
