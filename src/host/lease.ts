import { leaseDefaults } from '../core/agent.ts'
import type { Event } from '../core/events.ts'
import { backoffDelay } from '../store/failure.ts'
import type { AgentSync } from '../store/functions/turns.ts'
import type { Store } from '../store/store.ts'
import { type Clock, createAlarm } from './clock.ts'
import { createHeartbeat, type Heard } from './heartbeat.ts'
import type { Patience } from './patience.ts'

/** What is said of a running agent with each heartbeat. */
export type Reporter = {
  report(): Omit<AgentSync, 'agent_id' | 'action' | 'lease_token'>
  /** Jobs that it holds. */
  jobs(): readonly { readonly id: string; readonly token: number; readonly isStarted: boolean }[]
  loseJob(id: string, token: number): void
}

/** The leases of this process: one call renews all of them, and says which are lost. */
export type Leases = {
  /** Takes agents, each under a new token; answers come in order, and wait for the store. Undefined: the process ends. */
  take(agents: readonly AgentSync[]): Promise<readonly (Heard | undefined)[]>
  /** From now on the agent is reported like this, until the function it returns is called. */
  attach(agent: string, reporter: Reporter): () => void
  /** What is to be remembered of an agent goes with its next heartbeat. */
  remember(agent: string, supervision: AgentSync['supervision']): void
  /** Gives agents back; those that are retired are in no config any more. */
  release(agents: readonly string[], options?: { readonly retire?: { readonly stamp: number } }): Promise<void>
  /** Takes no more agents, and gives back those that it has, also what comes of a call that is under way. */
  releaseAll(): Promise<void>
  /** Nothing may start: nobody has confirmed the leases for two thirds of their time. */
  readonly isInDoubt: boolean
  close(): Promise<void>
}

export type LeasesOptions = {
  readonly store: Pick<Store, 'call'>
  readonly node: string
  readonly patience: Patience
  readonly clock: Clock
  readonly emit: (event: Event) => void
  readonly onDoubt: (isInDoubt: boolean) => void
  /** Another process has the agent. */
  readonly onLost: (agent: string) => void
  readonly random?: () => number
  /** Ms; renewed every third of it. */
  readonly lease?: number
  /** Ms; renewed every quarter of it. */
  readonly jobLease?: number
}

type Held = { readonly token: number; reporter: Reporter | undefined; supervision: AgentSync['supervision'] }
type Wish = { readonly sync: AgentSync; resolve(answer: Heard | undefined): void }

const backoff = { base: 200, max: 2_000 } as const

export function createLeases(options: LeasesOptions): Leases {
  const {
    store,
    node,
    patience,
    clock,
    emit,
    onDoubt,
    onLost,
    random = Math.random,
    lease = leaseDefaults.agents,
    jobLease = leaseDefaults.jobs,
  } = options
  const held = new Map<string, Held>()
  const heartbeat = createHeartbeat({ store, patience, emit, timeout: Math.ceil(lease / 3) })
  const wishes: Wish[] = []
  const renewed = new Map<string, { readonly at: number; readonly isStarted: boolean }>()
  const closed = new AbortController()
  const beat = createAlarm(clock, wake)
  const doubt = createAlarm(clock, beginDoubt)
  let phase: 'idle' | 'syncing' | 'again' = 'idle'
  let syncing: Promise<void> = Promise.resolve()
  let confirmedAt = clock.now()
  let failures = 0
  let isInDoubt = false
  let isTaking = true

  function wake(): void {
    if (closed.signal.aborted) return
    if (phase === 'idle') syncing = syncAll()
    else phase = 'again'
  }

  // A function, because the compiler does not see that wake may have been called in the meantime.
  const isAgain = () => phase === 'again' || wishes.length > 0

  async function syncAll(): Promise<void> {
    phase = 'syncing' // one call at a time: a hold beside the take of the same agent would come under its old token
    await undefined // what the same stretch of code wants goes together
    do {
      phase = 'syncing'
      await sync()
    } while (isAgain() && failures === 0)
    phase = 'idle'
    if (closed.signal.aborted || held.size + wishes.length === 0) return
    beat.set(clock.now() + (failures === 0 ? lease / 3 : backoffDelay(failures, backoff, random())))
  }

  async function sync(): Promise<void> {
    const began = clock.now()
    const asked = takeWishes()
    const wanted = new Set(asked.map(({ sync: { agent_id } }) => agent_id))
    const holds = [...held].filter(([agent]) => !wanted.has(agent)).map(([agent, one]) => ({ agent, one, sync: holdOf(agent, one) }))
    const jobs = dueJobs(began)
    const batch = {
      node_id: node,
      lease_ms: lease,
      agents: [...asked.map((wish) => wish.sync), ...holds.map((hold) => hold.sync)],
      jobs: jobs.map(({ id, token, isStarted }) => ({
        job_id: id,
        lease_token: token,
        lease_ms: jobLease,
        ...(isStarted && { started: true }),
      })),
    }
    if (batch.agents.length === 0) return
    try {
      const answer = await heartbeat(batch)
      failures = 0
      for (const [index, wish] of asked.entries()) grant(wish, answer.agents[index])
      for (const [index, hold] of holds.entries()) learn(hold, answer.agents[asked.length + index])
      for (const [index, job] of jobs.entries()) if (answer.jobs[index]?.verdict !== 'ok') job.reporter.loseJob(job.id, job.token)
      confirm(began)
    } catch {
      failures += 1
      wishes.unshift(...asked)
      for (const { id } of jobs) renewed.delete(id)
    }
  }

  /** The next wishes, one for an agent; what else is wanted of it comes later. */
  function takeWishes(): Wish[] {
    const agents = new Set<string>()
    const taken = wishes.filter(({ sync: { agent_id } }) => !agents.has(agent_id) && agents.add(agent_id))
    wishes.splice(0, wishes.length, ...wishes.filter((wish) => !taken.includes(wish)))
    return taken
  }

  function holdOf(agent: string, { token, reporter, supervision }: Held): AgentSync {
    return { ...reporter?.report(), ...(supervision && { supervision }), agent_id: agent, action: 'hold', lease_token: token }
  }

  function dueJobs(now: number) {
    const jobs = [...held.values()].flatMap(({ reporter }) => (reporter ? reporter.jobs().map((job) => ({ ...job, reporter })) : []))
    const due = jobs.filter(({ id, isStarted }) => {
      const last = renewed.get(id)
      return !last || now - last.at >= jobLease / 4 || (isStarted && !last.isStarted)
    })
    const ids = new Set(jobs.map(({ id }) => id))
    for (const id of renewed.keys()) if (!ids.has(id)) renewed.delete(id)
    for (const { id, isStarted } of due) renewed.set(id, { at: now, isStarted })
    return due
  }

  function grant({ sync: asked, resolve }: Wish, answer: Heard | undefined): void {
    const { agent_id: agent, action } = asked
    if (action === 'take' && answer?.verdict === 'ok' && answer.lease_token !== undefined) {
      // What the next incarnation of an agent that is held already takes it for may not have been told yet.
      held.set(agent, { token: answer.lease_token, reporter: undefined, supervision: held.get(agent)?.supervision })
    } else if (action !== 'take') held.delete(agent)
    resolve(answer)
  }

  function learn({ agent, one, sync: said }: { agent: string; one: Held; sync: AgentSync }, answer: Heard | undefined): void {
    if (held.get(agent) !== one) return
    if (answer?.verdict === 'ok') {
      if (one.supervision === said.supervision) one.supervision = undefined
      return
    }
    held.delete(agent)
    onLost(agent)
  }

  function confirm(began: number): void {
    if (closed.signal.aborted) return
    confirmedAt = began
    if (isInDoubt) {
      isInDoubt = false
      emit({ name: 'lease:confirmed', silent: Math.round(clock.now() - began) })
      onDoubt(false)
    }
    if (held.size > 0) doubt.set(confirmedAt + (lease * 2) / 3)
    else doubt.clear()
  }

  function beginDoubt(): void {
    if (isInDoubt || held.size === 0) return
    isInDoubt = true
    emit({ name: 'lease:doubted', silent: Math.round(clock.now() - confirmedAt) })
    onDoubt(true)
  }

  function wish(given: readonly AgentSync[]): Promise<(Heard | undefined)[]> {
    const answers = given.map((one) => {
      const { promise, resolve } = Promise.withResolvers<Heard | undefined>()
      if (closed.signal.aborted || (one.action === 'take' && !isTaking)) resolve(undefined)
      else wishes.push({ sync: one, resolve })
      return promise
    })
    wake()
    return Promise.all(answers)
  }

  function dropTakes(): void {
    const dropped = wishes.filter(({ sync: { action } }) => action === 'take')
    wishes.splice(0, wishes.length, ...wishes.filter((one) => !dropped.includes(one)))
    for (const { resolve } of dropped) resolve(undefined)
  }

  async function release(agents: readonly string[], { retire }: { readonly retire?: { readonly stamp: number } } = {}): Promise<void> {
    const action = retire ? ('retire' as const) : ('release' as const)
    const given = agents.flatMap((agent) => {
      const one = held.get(agent)
      if (!one) return []
      const { token, supervision, reporter } = one
      const last = { ...reporter?.report(), ...(supervision && { supervision }), status: 'offline' as const }
      return [{ ...last, agent_id: agent, action, lease_token: token, ...(retire && { spec_stamp: retire.stamp }) }]
    })
    await wish(given)
  }

  return {
    take: (agents) => wish(agents.map((agent) => ({ ...agent, action: 'take' }))),
    attach(agent, reporter) {
      const one = held.get(agent)
      if (one) one.reporter = reporter
      return () => {
        if (one?.reporter === reporter) one.reporter = undefined
      }
    },
    remember(agent, supervision) {
      const one = held.get(agent)
      if (one) one.supervision = supervision
    },
    release,
    async releaseAll() {
      isTaking = false
      dropTakes()
      await syncing
      dropTakes() // what a call that failed has put back
      await release([...held.keys()])
    },
    get isInDoubt() {
      return isInDoubt
    },
    async close() {
      closed.abort()
      beat.clear()
      doubt.clear()
      await syncing
      for (const { resolve } of wishes.splice(0)) resolve(undefined)
    },
  }
}
