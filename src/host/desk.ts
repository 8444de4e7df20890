import { ActorError } from '../core/errors.ts'
import type { ThreadFrame } from '../core/frames.ts'
import { createMailbox } from '../core/mailbox.ts'
import type { Job } from '../core/message.ts'
import { aheadLimit, canTake, fits, reduce, wakesAt } from '../core/turn.ts'
import { createTurns, type TurnCommit, type TurnEffect, type TurnInput } from '../core/turn-state.ts'
import { fromErrorData } from '../worker/error-data.ts'
import { createAlarm } from './clock.ts'
import { createDeskCalls } from './desk-calls.ts'
import { createDeskMail } from './desk-mail.ts'
import type { Desk, DeskOptions, DeskReport } from './desk-types.ts'
import { abortReasons, announcements, causeOf, exitError, plainVerdict, unheeded } from './desk-words.ts'
import { createUses } from './uses.ts'
import { callerOf, sizeOf, wireTurn } from './wire.ts'

export type { Desk, DeskChild, DeskOptions, DeskReport, Office } from './desk-types.ts'

/** Makes the desk of an incarnation: core/turn decides, this acts. */
export function createDesk(options: DeskOptions): Desk {
  const { spec, child, token, office, onRestart, onJobsLeft, onWorthClaiming = () => {} } = options
  const { outbox, router, asks, clock, emit, random } = office
  const { id: agent } = spec
  const announce = announcements(spec, child.incarnation, emit)
  const owner = {}
  const ready = Promise.withResolvers<void>()
  const settled = Promise.withResolvers<void>()
  const jobs = new Map<string, { readonly job: Job; isStarted: boolean }>()
  const calls = createDeskCalls({ agent, token, sql: options.sql, post: child.post, office })
  const uses = createUses({ actor: agent, services: office.services, child })
  const alarm = createAlarm(clock, () => feed({ kind: 'tick' }))
  const mailbox = createMailbox({ capacity: spec.mailbox })
  const deskMail = spec.durability === 'async' ? createDeskMail(options, (id) => box.settled(id)) : undefined
  const box = router.open({ agent, token, mailbox: deskMail?.mail ?? mailbox, mail: deskMail?.mail, onMail: () => pump() })
  const inputs: TurnInput[] = []
  let turns = createTurns(spec, options.state?.version ?? 0)
  let says: { readonly status: DeskReport['status']; readonly reason: string | undefined } | undefined
  let isFeeding = false

  /** Takes up inputs one after the other, also those that come of what it does. */
  function feed(input: TurnInput): void {
    inputs.push(input)
    if (isFeeding) return
    isFeeding = true
    for (let next = inputs.shift(); next; next = inputs.shift()) {
      const { state, effects } = reduce(turns, next, { now: clock.now(), wallNow: Date.now(), random: random() })
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
    const messages = mailbox.takeExpired(now, aheadLimit - turns.ended.length)
    if (messages.length > 0) inputs.push({ kind: 'expired', messages })
    const delivery = messages.length === 0 ? mailbox.next(now, (next) => fits(turns, next)) : undefined
    if (delivery) inputs.push({ kind: 'take', delivery })
  }

  function schedule(): void {
    const times = [wakesAt(turns), canTake(turns) ? mailbox.wakesAt : undefined].filter((at) => at !== undefined)
    alarm.set(times.length > 0 ? Math.min(...times) : undefined)
  }

  function perform(effect: TurnEffect): void {
    switch (effect.kind) {
      case 'ready':
        deskMail?.mail.open()
        ready.resolve()
        return onWorthClaiming()
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
        return child.post({ ...effect, actor: agent, reason: abortReasons[effect.code] })
      case 'kill':
        return child.kill(unheeded)
      case 'hold':
        return mailbox.hold(effect.message, clock.now() + effect.retryIn)
      case 'putBack':
        for (const { turn } of effect.handed) calls.end(turn)
        return mailbox.put(effect.handed.map(({ delivery }) => delivery.message))
      case 'threw':
        return announce.threw(effect.record)
      case 'committed':
        return release(effect.record)
      case 'blocked':
        // Others may do what this agent cannot.
        leaveJobs()
        return announce.blocked(effect)
      case 'unblocked':
        return announce.unblocked()
      case 'restart':
        announce.rejected(effect.reason)
        return onRestart(effect.reason)
      case 'drained':
        return leave()
    }
  }

  function run({ turn, delivery, attempt, after }: Extract<TurnEffect, { kind: 'run' }>): void {
    calls.begin(turn, delivery)
    const common = { kind: 'turn', actor: agent, turn, attempt, ...(after !== undefined && { after }) } as const
    if (delivery.kind === 'message') {
      const { id, type, body, from, priority, isBroadcast } = delivery.message
      return child.post({ ...common, source: 'message', id, type, body, from, priority, ...(isBroadcast && { isBroadcast }) })
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
      letGo(delivery.job)
    } else if (outcome === 'done' || outcome === 'dead') {
      const { id, chain } = delivery.message
      box.settled(id)
      if (chain && outcome === 'done') asks.settled(id, reply)
      if (chain && outcome === 'dead') asks.died(id, reason ?? 'failed', error)
    }
    if (delivery.kind === 'job' || effects?.jobs.length || effects?.writes.length) onWorthClaiming()
    announce.committed(record)
  }

  /** Under another token it has been claimed again. */
  function letGo({ id, token: held }: Pick<Job, 'id' | 'token'>): boolean {
    return jobs.get(id)?.job.token === held && jobs.delete(id)
  }

  function leave(): void {
    alarm.clear()
    box.close()
    const left = [...jobs.values()].map(({ job }) => job)
    jobs.clear()
    if (left.length > 0) onJobsLeft(left)
    ready.reject(new ActorError('STOPPED', `"${agent}" was stopped before it was up`))
    void (deskMail?.committed() ?? Promise.resolve()).then(settled.resolve)
  }

  /** Gives back what was claimed and has not begun. */
  function leaveJobs(): void {
    const left = mailbox.takeJobs()
    for (const { id } of left) jobs.delete(id)
    if (left.length > 0) onJobsLeft(left)
  }

  function take(frame: ThreadFrame): void {
    switch (frame.kind) {
      case 'loaded':
        return feed({ kind: 'loaded', effects: frame.effects })
      case 'ended':
        uses.end(frame.turn)
        calls.leave(frame.turn)
        return feed(frame)
      case 'use':
        return use(frame)
      case 'unuse':
        return uses.unuse(frame.call)
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
        return
      case 'acks':
        return deskMail?.acked(frame)
    }
  }

  function use(frame: Extract<ThreadFrame, { kind: 'use' }>): void {
    const delivery = calls.delivery(frame.turn)
    if (delivery) uses.use(callerOf(spec, delivery), frame)
  }

  async function watch(): Promise<void> {
    const { exit, detail } = await child.exited
    const cause = causeOf(exit, turns.phase)
    uses.close()
    leaveJobs()
    deskMail?.close(cause)
    asks.forget(agent)
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
      await child.load({ state: options.state?.value ?? null, sql: options.sql, http: options.http })
      await ready.promise
    },
    doubt: (isInDoubt) => feed({ kind: isInDoubt ? 'pause' : 'resume' }),
    lose() {
      emit({ name: 'lease:lost', id: agent })
      mailbox.takeJobs()
      jobs.clear()
      deskMail?.lose()
      asks.forget(agent)
      feed({ kind: 'lost' })
    },
    loseJob(id, given) {
      if (!letGo({ id, token: given })) return
      mailbox.takeJobs(id)
      feed({ kind: 'jobLost', id })
    },
    give(given) {
      if (turns.phase !== 'open') return onJobsLeft(given)
      for (const job of given) {
        jobs.set(job.id, { job, isStarted: false })
        mailbox.putJob(job)
        emit({ name: 'job:claimed', id: agent, job: job.id, type: job.type, attempt: job.attempt })
      }
      pump()
    },
    drain({ abortAfter }) {
      leaveJobs()
      const abortAt = clock.now() + abortAfter
      if (!deskMail) return feed({ kind: 'drain', abortAt })
      box.close()
      void deskMail.drain(abortAfter).then(() => feed({ kind: 'drain', abortAt }))
    },
    settled: settled.promise,
    jobs: () => [...jobs.values()].map(({ job: { id, token: held }, isStarted }) => ({ id, token: held, isStarted })),
    free() {
      const { phase, blocked } = turns
      // What came before its init is committed would only go back.
      if (phase !== 'open' || (blocked && clock.now() < blocked.until)) return 0
      // Whether it is blocked still, one job tells.
      return (blocked ? 1 : spec.maxLoad) - jobs.size
    },
    report() {
      const { running, blocked } = turns
      const said = blocked ? { status: 'blocked' as const, reason: blocked.reason } : says
      const status = said?.status ?? (running ? 'working' : 'idle')
      const job = running?.delivery.kind === 'job' ? running.delivery.job.id : undefined
      return { status, reason: said?.reason, job, load: jobs.size, mailbox: mailbox.size + (deskMail?.mail.size ?? 0) }
    },
  }
}
