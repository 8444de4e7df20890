import type { Effects, Request } from '../../src/core/frames.ts'
import { createMailbox } from '../../src/core/mailbox.ts'
import type { Message } from '../../src/core/message.ts'
import { aheadLimit, canTake, fits, reduce } from '../../src/core/turn.ts'
import { createTurns, type TurnCommit, type TurnEffect, type TurnInput, type TurnState, type Verdict } from '../../src/core/turn-state.ts'

/** A delivery as the store has it. */
export type Row = {
  message: Message
  status: 'ready' | 'done' | 'dead'
  attempts: number
  interruptions: number
  retryAt: number
  token: number | undefined
  /** Of the incarnation that announced a run of it which has no end yet. */
  startedToken: number | undefined
  /** Attempts of it that have failed, as the turns see it. */
  failures: number
  /** So often did its effects come into being. */
  effects: number
  isFatal: boolean
}

type Sent = { incarnation: number; token: number; round: number; record: TurnCommit }
/** A turn as the thread has it. */
type Run = { turn: number; id: string; calls: number; after: number | undefined }
/** What the store says about a batch, besides what its rows say. */
export type Fault = 'none' | 'lost' | 'full' | 'refused'

type Ending = { readonly retryIn?: number | undefined; readonly isBlocked?: boolean; readonly isQuick?: boolean }

const policy = { maxAttempts: 3, turnTimeout: 1_000 }
const nothing: Effects = { messages: [], jobs: [], writes: [], timers: [], steps: false }

/**
 * One agent, its store and its thread, told as a plain story around the turns under test. It checks on the way what must hold at
 * every moment, and throws when it does not.
 */
export class World {
  now = 0
  readonly rows = new Map<string, Row>()
  /** What was handled, as the saved state tells it. */
  saved: { version: number; value: string[] } = { version: 0, value: [] }
  readonly left: string[] = []
  #token = 1
  /** The token that this incarnation was given. */
  #ownToken = 1
  #incarnation = 0
  #turns: TurnState
  #mailbox = createMailbox({ capacity: 10_000 })
  /** So many turns were run that had been handed over before the one in front of them had ended. */
  handed = 0
  /** On the actor's side: its state in memory, the turn that runs, those that wait behind it, and the last one that is done. */
  #memory: string[] = []
  #running: Run | undefined
  #waiting: Run[] = []
  #done = 0
  /** What the thread has said and the host has not heard. */
  #said: TurnInput[] = []
  #queue: Sent[] = []
  #isRestarting = false
  #isAlive = true
  #seq = 0
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
    this.#turns = this.#start()
  }

  get state(): TurnState {
    return this.#turns
  }
  get isRunning(): boolean {
    return this.#running !== undefined
  }

  // What may happen ------------------------------------------------------------------------------------------------------------

  send(sender: string, isFatal = false): void {
    this.#seq += 1
    const id = `${sender}-${this.#seq}`
    const message: Message = {
      id,
      seq: this.#seq,
      from: sender,
      type: 'note',
      body: 'null',
      priority: 'normal',
      attempts: 0,
      interruptions: 0,
    }
    const counts = { attempts: 0, interruptions: 0, failures: 0, effects: 0 }
    const tokens = { token: this.#ownToken, startedToken: undefined }
    this.rows.set(id, { message, status: 'ready', retryAt: 0, ...counts, ...tokens, isFatal })
    this.#mailbox.put([message])
    this.take()
  }

  take(): void {
    while (canTake(this.#turns)) {
      const delivery = this.#mailbox.next(this.now, (one) => fits(this.#turns, one))
      if (!delivery) return
      this.#feed({ kind: 'take', delivery })
    }
  }

  finish(how: 'done' | 'threw', { retryIn, isBlocked = false, isQuick = true }: Ending = {}): void {
    if (!this.#running) return
    const { turn, id } = this.#running
    this.#running = undefined
    const isFatal = this.rows.get(id)?.isFatal === true
    if (how === 'threw' || isFatal) {
      const outcome = {
        kind: 'threw',
        error: { name: 'Error', message: 'no', ...(isBlocked && { code: 'BLOCKED' }) },
        isFinal: isFatal,
        ...(retryIn !== undefined && { retryIn }),
      } as const
      this.#said.push({ kind: 'ended', turn, outcome })
      return this.#go()
    }
    this.#memory = [...this.#memory, id]
    this.#done = turn
    const effects = { ...nothing, state: JSON.stringify(this.#memory) }
    this.#said.push({ kind: 'ended', turn, outcome: { kind: 'done', reply: 'null', effects }, isQuick })
    this.#go()
  }

  /** The host hears what the thread has said. */
  hear(): void {
    for (let input = this.#said.shift(); input; input = this.#said.shift()) this.#feed(input)
  }

  call(kind: 'ask' | 'stepStart' | 'read'): void {
    if (!this.#running) return
    this.#running.calls += 1
    const { turn, calls } = this.#running
    const request = { kind, key: `${turn}:${calls}` } as unknown as Request
    this.#said.push({ kind: 'call', call: calls, turn, request })
  }

  /** Commits the first turns of those that were handed over. */
  commit(size: number, fault: Fault, at: number): void {
    const batch = this.#queue.slice(0, size)
    this.#queue = this.#queue.slice(batch.length)
    let verdicts = this.#apply(batch, fault === 'full' || fault === 'refused' ? { at, code: fault } : undefined)
    if (fault === 'lost') verdicts = this.#apply(batch) // as if it had never been answered: the same request again
    for (const [index, { round, record, incarnation }] of batch.entries()) {
      const verdict = verdicts[index]
      if (verdict && incarnation === this.#incarnation) this.#feed({ kind: 'verdict', turn: record.turn, round, verdict })
    }
  }

  pass(ms: number): void {
    this.now += ms
    this.#feed({ kind: 'tick' })
    this.take()
  }

  pause(isPaused: boolean): void {
    this.#feed({ kind: isPaused ? 'pause' : 'resume' })
  }

  die(cause: 'crashed' | 'stopped'): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.#isRestarting = true
    this.#stop()
    this.hear()
    this.#feed({ kind: 'exited', cause, error: { name: 'Error', message: 'died' } })
  }

  drain(): void {
    this.#isRestarting = true
    this.#feed({ kind: 'drain', abortAt: this.now + 100 })
  }

  /** Another process takes the agent over, and gives it back: the rows it had in hand count an interruption. */
  takeOver(): void {
    const hand = [...this.rows.values()].filter(({ status, token }) => status === 'ready' && token === this.#token)
    const [head] = hand.filter(({ retryAt }) => retryAt <= this.now)
    const inHand = hand.find(({ startedToken }) => startedToken === this.#token) ?? head
    if (inHand) inHand.interruptions += 1
    this.#takeLease()
    this.#isRestarting = true
    this.#feed({ kind: 'lost' })
  }

  /** Starts the next incarnation, once nothing of this one is left. */
  restart(): void {
    if (!this.#isRestarting || !this.#turns.isDrained) return
    this.#isRestarting = false
    this.#takeLease()
    this.#turns = this.#start()
    this.take()
  }

  /** Lets everything come to its end without another fault. */
  settle(): void {
    for (let round = 0; round < 10_000; round++) {
      if ([...this.rows.values()].every(({ status }) => status !== 'ready')) break
      this.pause(false)
      this.take()
      this.finish('done')
      this.hear()
      this.commit(64, 'none', 0)
      this.restart()
      if (!this.#running && this.#queue.length === 0) this.pass(1_000)
    }
    while (this.#queue.length > 0) this.commit(64, 'none', 0)
  }

  // The actor's process and its store ----------------------------------------------------------------------------------------

  /** An attempt that was counted before its run counts no more, if that run came to no end under its token. */
  #takeLease(): void {
    for (const row of this.rows.values()) {
      if (row.status === 'ready' && row.startedToken === this.#token) row.attempts -= 1
    }
    this.#token += 1
  }

  #start(): TurnState {
    this.#incarnation += 1
    this.#ownToken = this.#token
    this.#memory = [...this.saved.value]
    this.#stop()
    this.#done = 0
    this.#said = []
    this.#isAlive = true
    this.#mailbox = createMailbox({ capacity: 10_000 })
    const turns = createTurns(policy, this.saved.version)
    const { state } = reduce(turns, { kind: 'loaded', effects: nothing }, { now: this.now, wallNow: this.now, random: 0 })
    const ready = [...this.rows.values()].filter(({ status }) => status === 'ready')
    for (const row of ready) row.token = this.#token
    this.#mailbox.put(
      ready.map(({ message, attempts, interruptions, retryAt }) => ({
        ...message,
        attempts,
        interruptions,
        ...(retryAt > this.now && { retryAt }),
      })),
    )
    return state
  }

  #stop(): void {
    this.#running = undefined
    this.#waiting = []
  }

  /** The thread takes up what it may run next. */
  #go(): void {
    while (!this.#running && this.#waiting.length > 0) {
      const next = this.#waiting.shift()
      if (next?.after !== undefined && next.after !== this.#done) continue
      if (next?.after !== undefined) this.handed += 1
      this.#running = next
    }
  }

  #feed(input: TurnInput): void {
    const { state, effects } = reduce(this.#turns, input, { now: this.now, wallNow: this.now, random: this.#random() })
    this.#turns = state
    if (state.ended.length > aheadLimit) throw new Error('It ran too far ahead')
    for (const effect of effects) this.#perform(effect)
  }

  #perform(effect: TurnEffect): void {
    switch (effect.kind) {
      case 'run': {
        if (this.#running && effect.after === undefined) throw new Error('Two turns at once')
        if (this.#turns.isPaused) throw new Error('A turn began while the lease was in doubt')
        if (effect.delivery.kind === 'job') throw new Error('There are no jobs here')
        const { id } = effect.delivery.message
        const row = this.rows.get(id)
        if (row && effect.attempt > policy.maxAttempts) throw new Error(`${id} ran too often`)
        const isAlone = this.#turns.ended.length === 0 && effect.after === undefined
        if (row && row.interruptions >= 2 && !isAlone) throw new Error(`${id} did not run alone`)
        if (this.#isAlive) this.#waiting.push({ turn: effect.turn, id, calls: 0, after: effect.after })
        return this.#go()
      }
      case 'commit':
        for (const record of effect.records)
          this.#queue.push({ incarnation: this.#incarnation, token: this.#ownToken, round: effect.round, record })
        return
      case 'discard':
        this.#queue = []
        return
      case 'request': {
        const isEarly = this.#turns.ended.some(({ turn }) => turn < effect.turn)
        if (effect.request.kind !== 'read' && (isEarly || this.#turns.isPaused)) throw new Error('A request left too early')
        this.left.push(effect.request.kind)
        return
      }
      case 'abort':
        if (effect.turn !== undefined && effect.turn !== this.#running?.turn) return
        if (effect.turn === undefined) this.#done = Number.NaN
        return this.finish('threw') // it heeds its signal
      case 'putBack':
        return this.#mailbox.put(effect.handed.map(({ delivery }) => delivery.message))
      case 'kill':
        return this.die('crashed')
      case 'hold':
        return this.#mailbox.hold(effect.message, this.now + effect.retryIn)
      case 'committed': {
        const { delivery, outcome } = effect.record
        const row = delivery?.kind === 'message' ? this.rows.get(delivery.message.id) : undefined
        if (row && (outcome === 'done' || outcome === 'dead') && row.status !== outcome) throw new Error('Released before it was committed')
        return
      }
      case 'restart':
        this.#stop()
        this.#isRestarting = true
        return
      case 'threw': {
        const { delivery } = effect.record
        const row = delivery?.kind === 'message' ? this.rows.get(delivery.message.id) : undefined
        if (row) row.failures += 1
        return
      }
      case 'ready':
      case 'refuseStart':
      case 'blocked':
      case 'unblocked':
      case 'drained':
        return
    }
  }

  /** commit_turns, for one agent. */
  #apply(batch: readonly Sent[], fault?: { at: number; code: 'full' | 'refused' }): Verdict[] {
    let hasFallen = false
    return batch.map(({ token, record }, index) => {
      const verdict = hasFallen
        ? ({ kind: 'stale', reason: 'follows' } as const)
        : fault?.at === index && record.outcome === 'done'
          ? ({ kind: 'failed', code: fault.code === 'full' ? 'MAILBOX_FULL' : '23514', message: 'as asked' } as const)
          : this.#settleRow(token, record)
      hasFallen ||= verdict.kind === 'stale' || verdict.kind === 'failed'
      return verdict
    })
  }

  #settleRow(token: number, record: TurnCommit): Verdict {
    if (token !== this.#token) return { kind: 'stale', reason: 'lease' }
    if (record.delivery?.kind !== 'message') throw new Error('There are only messages here')
    const { id, attempts } = record.delivery.message
    const row = this.rows.get(id)
    if (!row) throw new Error(`${id} is unknown`)
    const { outcome } = record
    const counts = outcome === 'started' || ((outcome === 'retry' || outcome === 'dead') && record.isCounted !== true)
    const change = (counts ? 1 : 0) - (record.isTakenBack ? 1 : 0)
    const after = { status: outcome === 'done' || outcome === 'dead' ? outcome : ('ready' as const), attempts: attempts + change }
    const isOurs = row.status === 'ready' && row.token === token && row.attempts === attempts
    if (!isOurs) {
      const isRepeat = row.token === token && row.status === after.status && row.attempts === after.attempts
      return isRepeat ? { kind: 'repeat' } : { kind: 'stale', reason: 'delivery' }
    }
    if (outcome === 'done' && record.state) {
      if (record.state.version !== this.saved.version) return { kind: 'stale', reason: 'state' }
      this.saved = { version: this.saved.version + 1, value: JSON.parse(record.state.value) }
    }
    Object.assign(row, { ...after, startedToken: outcome === 'started' ? token : undefined })
    if (outcome === 'retry') row.retryAt = this.now + (record.retryIn ?? 0)
    if (outcome === 'done') row.effects += 1
    if (row.status !== 'ready') this.#checkOrder(row)
    return { kind: 'ok' }
  }

  /** Of one sender, nothing ends before what came first. */
  #checkOrder({ message: { from, seq, id } }: Row): void {
    for (const other of this.rows.values()) {
      if (other.message.from === from && other.message.seq < seq && other.status === 'ready')
        throw new Error(`${id} ended before ${other.message.id}`)
    }
  }
}
