import type { AgentSpec } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { Event } from '../core/events.ts'
import type { ErrorData, ThreadFrame } from '../core/frames.ts'
import type { Delivery, Job, JsonText } from '../core/message.ts'
import { aheadLimit, canTake, reduce, wakesAt } from '../core/turn.ts'
import { createTurns, type TurnCommit, type TurnEffect, type TurnInput, type Verdict } from '../core/turn-state.ts'
import type { TurnVerdict } from '../store/functions/turns.ts'
import { fromErrorData } from '../worker/error-data.ts'
import type { Asks } from './asks.ts'
import type { Child } from './child.ts'
import { type Clock, createAlarm } from './clock.ts'
import { createDeskCalls } from './desk-calls.ts'
import type { Outbox } from './outbox.ts'
import type { Requests } from './requests.ts'
import type { Router } from './router.ts'
import { errorText, sizeOf, wireTurn } from './wire.ts'

/** What a desk needs of a thread. */
export type DeskChild = Pick<Child, 'incarnation' | 'load' | 'post' | 'onFrame' | 'kill'> & {
  readonly exited: Promise<{ readonly exit: string; readonly detail: string }>
}

/** What all desks of a process share. */
export type Office = {
  readonly outbox: Outbox
  readonly router: Router
  readonly asks: Asks
  readonly requests: Requests
  readonly clock: Clock
  readonly emit: (event: Event) => void
  readonly random: () => number
}

export type DeskOptions = {
  readonly spec: AgentSpec
  readonly child: DeskChild
  /** What the lease gave: the token, and the state that this incarnation starts from. */
  readonly token: number
  readonly state: { readonly version: number; readonly value: JsonText } | null
  /** Functions and relations that the actor may use. */
  readonly sql: readonly string[]
  readonly office: Office
  /** It has to start again from the store; the desk is done with it. */
  readonly onRestart: (reason: string) => void
  /** A job was given to it and will not be handled here: it is to be released. */
  readonly onJobsLeft: (jobs: readonly Job[]) => void
  /** It has ended a job, so that there is room for another, or has made one: claiming may be worth it. */
  readonly onJobDone?: () => void
}

/** One incarnation's place in this process: it gives its thread one delivery after the other and sees to what comes of each. */
export type Desk = {
  readonly agent: string
  readonly token: number
  /** Loads the actor; resolves when its init is committed and rejects when the start is refused. */
  start(): Promise<void>
  /** The lease is in doubt, or is not any more. */
  doubt(isInDoubt: boolean): void
  /** The agent is another process's now. */
  lose(): void
  /** Another has the job now. */
  loseJob(id: string): void
  give(jobs: readonly Job[]): void
  /** Takes no more. What still runs after `abortAfter` ms is told to end. */
  drain(options: { readonly abortAfter: number }): void
  /** Resolves when nothing runs and everything that ended is committed: only then may the lease go to the next incarnation. */
  readonly settled: Promise<void>
  /** Jobs that it holds, whose leases have to be renewed. */
  jobs(): readonly { readonly id: string; readonly token: number; readonly isStarted: boolean }[]
  report(): DeskReport
}

export type DeskReport = {
  readonly status: 'idle' | 'working' | 'blocked'
  readonly reason: string | undefined
  readonly job: string | undefined
  readonly load: number
  readonly mailbox: number
}

/** What stops says is enough for a turn that is nearly done, and leaves time for what stop itself does. */
export function createDesk(options: DeskOptions): Desk {
  const { spec, child, token, office, onRestart, onJobsLeft, onJobDone = () => {} } = options
  const { outbox, router, asks, clock, emit, random } = office
  const { id: agent, team } = spec
  const about = { team, id: agent, incarnation: child.incarnation }
  const owner = {}
  const ready = Promise.withResolvers<void>()
  const settled = Promise.withResolvers<void>()
  const jobs = new Map<string, { readonly job: Job; isStarted: boolean }>()
  const calls = createDeskCalls({ agent, token, sql: options.sql, post: child.post, office })
  const alarm = createAlarm(clock, () => feed({ kind: 'tick' }))
  const box = router.open({ agent, token, capacity: spec.mailbox, onMail: () => pump() })
  const inputs: TurnInput[] = []
  let turns = createTurns({ maxAttempts: spec.maxAttempts, turnTimeout: spec.turnTimeout }, options.state?.version ?? 0)
  let says: { readonly status: DeskReport['status']; readonly reason: string | undefined } | undefined
  let isFeeding = false

  /** Takes up inputs one after the other, also those that come of what it does. */
  function feed(input: TurnInput): void {
    inputs.push(input)
    if (isFeeding) return
    isFeeding = true
    for (let next = inputs.shift(); next; next = inputs.shift()) {
      const { state, effects } = reduce(turns, next, { now: clock.now(), random: random() })
      turns = state
      for (const effect of effects) perform(effect)
      if (inputs.length === 0) takeMore()
    }
    isFeeding = false
    schedule()
  }

  function pump(): void {
    if (isFeeding || !canTake(turns)) return
    feed({ kind: 'tick' })
  }

  /** Hands over what is next, if anything may run now. */
  function takeMore(): void {
    if (!canTake(turns)) return
    const now = clock.now()
    const messages = box.mailbox.takeExpired(now, aheadLimit - turns.ended.length)
    if (messages.length > 0) inputs.push({ kind: 'expired', messages })
    const delivery = messages.length === 0 ? box.mailbox.next(now) : undefined
    if (delivery) inputs.push({ kind: 'take', delivery })
  }

  function schedule(): void {
    const times = [wakesAt(turns), canTake(turns) ? box.mailbox.wakesAt : undefined].filter((at) => at !== undefined)
    alarm.set(times.length > 0 ? Math.min(...times) : undefined)
  }

  function perform(effect: TurnEffect): void {
    switch (effect.kind) {
      case 'ready':
        return ready.resolve()
      case 'refuseStart':
        return ready.reject(
          new ActorError('START_FAILED', `"${agent}" did not start: ${effect.error.message}`, { cause: fromErrorData(effect.error) }),
        )
      case 'run':
        return run(effect)
      case 'commit':
        for (const record of effect.records) hand(record, effect.round)
        return
      case 'discard':
        return outbox.discard(owner)
      case 'request':
        return calls.answer(effect)
      case 'abort':
        return child.post({ kind: 'abort', actor: agent, code: effect.code, reason: reasons[effect.code] })
      case 'kill':
        return child.kill({ exit: 'hung', detail: 'its turn went on after it was told to end' })
      case 'hold':
        return box.mailbox.hold(effect.message, clock.now() + effect.retryIn)
      case 'threw':
        return announceFailure(effect.record)
      case 'committed':
        return release(effect.record)
      case 'restart':
        emit({ name: 'turn:rejected', ...about, reason: effect.reason })
        return onRestart(effect.reason)
      case 'drained':
        return leave()
    }
  }

  function run({ turn, delivery, attempt }: Extract<TurnEffect, { kind: 'run' }>): void {
    calls.begin(turn, delivery)
    const common = { kind: 'turn', actor: agent, turn, attempt } as const
    if (delivery.kind === 'message') {
      const { id, type, body, from, priority } = delivery.message
      return child.post({ ...common, source: 'message', id, type, body, from, priority })
    }
    const { id, type, payload } = delivery.job
    const held = jobs.get(id)
    if (held) held.isStarted = true
    child.post({ ...common, source: 'job', id, type, body: payload, from: null, priority: 'normal' })
  }

  function hand(record: TurnCommit, round: number): void {
    outbox.commit({
      owner,
      turn: wireTurn(record, { agent, token }),
      bytes: sizeOf(record),
      onVerdict: (verdict) => feed({ kind: 'verdict', turn: record.turn, round, verdict: plainVerdict(verdict) }),
    })
  }

  /** A turn stands: whoever waited for it may go on. */
  function release(record: TurnCommit): void {
    const { turn, delivery, outcome, reply = 'null', reason, error, effects } = record
    // When its timers are due, only the table knows.
    if (effects && effects.timers.length > 0) router.wake(agent)
    if (!delivery) return
    if (outcome !== 'started') calls.end(turn)
    if (delivery.kind === 'job') {
      jobs.delete(delivery.job.id)
    } else if (outcome === 'done' || outcome === 'dead') {
      const { id, chain } = delivery.message
      box.settled(id)
      if (chain && outcome === 'done') asks.settled(id, reply)
      if (chain && outcome === 'dead') asks.died(id, reason ?? 'failed', error)
    }
    if (delivery.kind === 'job' || effects?.jobs.length || effects?.writes.length) onJobDone()
    if (outcome === 'done') emit({ name: 'turn:committed', ...about, ...handled(delivery) })
    if (outcome === 'dead' && delivery.kind === 'message') {
      emit({ name: 'message:dead', ...about, ...handled(delivery), reason: reason ?? 'failed', error: error && errorText(error) })
    }
  }

  function announceFailure({ delivery, error, retryIn, outcome }: TurnCommit): void {
    if (!delivery || !error) return
    const attempt = delivery.kind === 'job' ? delivery.job.attempt : delivery.message.attempts + 1
    const next = outcome === 'retry' && retryIn !== undefined ? retryIn : null
    emit({ name: 'turn:failed', ...about, ...handled(delivery), attempt, error: errorText(error), retryIn: next })
  }

  function leave(): void {
    alarm.clear()
    box.close()
    const left = [...jobs.values()].map(({ job }) => job)
    jobs.clear()
    if (left.length > 0) onJobsLeft(left)
    ready.reject(new ActorError('STOPPED', `"${agent}" was stopped before it was up`))
    settled.resolve()
  }

  /** Gives back what was claimed and has not begun. */
  function leaveJobs(): void {
    const left = box.mailbox.takeJobs()
    for (const { id } of left) jobs.delete(id)
    if (left.length > 0) onJobsLeft(left)
  }

  function take(frame: ThreadFrame): void {
    switch (frame.kind) {
      case 'loaded':
        return feed({ kind: 'loaded', effects: frame.effects })
      case 'ended':
        return feed({ kind: 'ended', turn: frame.turn, outcome: frame.outcome })
      case 'call':
        return feed({ kind: 'call', call: frame.call, turn: frame.turn, request: frame.request })
      case 'post':
        return calls.send(frame)
      case 'status':
        says = { status: frame.status, reason: frame.reason }
        return
      case 'up':
      case 'refused':
      case 'stopped':
      case 'log':
      case 'pong':
      case 'acks':
        return
    }
  }

  async function watch(): Promise<void> {
    const { exit, detail } = await child.exited
    leaveJobs()
    asks.forget(agent)
    const cause = turns.phase === 'draining' ? 'interrupted' : 'crashed'
    feed({ kind: 'exited', cause, error: exitError(exit, detail) })
  }

  // Nobody need have called start.
  ready.promise.catch(() => {})
  child.onFrame(take)
  void watch()

  return {
    agent,
    token,
    async start() {
      await child.load({ state: options.state?.value ?? null, sql: options.sql })
      await ready.promise
    },
    doubt: (isInDoubt) => feed({ kind: isInDoubt ? 'pause' : 'resume' }),
    lose() {
      emit({ name: 'lease:lost', id: agent })
      box.mailbox.takeJobs()
      jobs.clear()
      asks.forget(agent)
      feed({ kind: 'lost' })
    },
    loseJob(id) {
      box.mailbox.takeJobs(id)
      jobs.delete(id)
      feed({ kind: 'jobLost', id })
    },
    give(given) {
      if (turns.phase !== 'open') return onJobsLeft(given)
      for (const job of given) {
        jobs.set(job.id, { job, isStarted: false })
        box.mailbox.putJob(job)
        emit({ name: 'job:claimed', id: agent, job: job.id, type: job.type, attempt: job.attempt })
      }
      pump()
    },
    drain({ abortAfter }) {
      leaveJobs()
      feed({ kind: 'drain', abortAt: clock.now() + abortAfter })
    },
    settled: settled.promise,
    jobs: () => [...jobs.values()].map(({ job: { id, token: held }, isStarted }) => ({ id, token: held, isStarted })),
    report() {
      const { running } = turns
      const status = says?.status ?? (running ? 'working' : 'idle')
      const job = running?.delivery.kind === 'job' ? running.delivery.job.id : undefined
      return { status, reason: says?.reason, job, load: jobs.size, mailbox: box.mailbox.size }
    },
  }
}

const reasons = {
  TURN_TIMEOUT: 'The turn took longer than turnTimeout allows',
  STOPPED: 'The actor is being stopped',
  LEASE_LOST: 'Somebody else has the agent or the job now',
} as const

function handled(delivery: Delivery) {
  const { id, type } = delivery.kind === 'message' ? delivery.message : delivery.job
  return { source: delivery.kind, handled: id, type }
}

function plainVerdict(verdict: TurnVerdict): Verdict {
  switch (verdict.verdict) {
    case 'ok':
    case 'repeat':
      return { kind: verdict.verdict }
    case 'stale':
      return { kind: 'stale', reason: verdict.reason }
    case 'failed':
      return { kind: 'failed', code: verdict.code, message: verdict.error }
  }
}

function exitError(exit: string, detail: string): ErrorData {
  const code = exit === 'hung' ? 'ACTOR_HUNG' : exit === 'out_of_memory' ? 'OUT_OF_MEMORY' : 'ACTOR_CRASHED'
  return { name: 'ActorError', code, message: `Its thread ended: ${exit}: ${detail}` }
}
