import { type Blocked, judgeBlock, judgeFailure } from './attempt.ts'
import type { Effects, ErrorData, ThreadFrame } from './frames.ts'
import type { Delivery } from './message.ts'
import { begin, commit, openDraft, requestsWaiting, type TurnDraft } from './turn-draft.ts'
import { hand, mayBeHanded, mayHand, pace, runHanded, suspectFrom, takeBack } from './turn-handed.ts'
import { patience } from './turn-limit.ts'
import type { AbortCode, Call, Running, TurnCommit, TurnEffect, TurnInput, TurnState } from './turn-state.ts'
import { onVerdict } from './turn-verdict.ts'

/** So many turns may have ended and not be committed. */
export const aheadLimit = 64
/** So many ms after a stop has kept it from its end, a message is tried again: one that ends only so must not be the first after every restart. */
const afterStop = 1_000

type ThreadOutcome = Extract<ThreadFrame, { kind: 'ended' }>['outcome']

/** When an input is taken up, in monotonic ms and in ms since 1970, and a number in [0, 1) for the jitter of the waits that it causes. */
export type Moment = { readonly now: number; readonly wallNow: number; readonly random: number }

/**
 * The turns of one incarnation: what they are after an input, and what the host has to do. One turn runs at a time; it may run
 * while earlier ones are being committed, but nothing that leaves it at once overtakes them. Behind a turn the thread may have
 * messages already, see turn-handed.
 */
export function reduce(state: TurnState, input: TurnInput, moment: Moment): { state: TurnState; effects: readonly TurnEffect[] } {
  const draft = openDraft(state, moment)
  handle(draft, input)
  advance(draft)
  const { effects, now, wallNow, random, ...next } = draft
  return { state: next, effects }
}

/** Whether a delivery may be given now. */
export function canTake(state: TurnState): boolean {
  const { phase, isPaused, running, handed, ended } = state
  if (phase !== 'open' || isPaused) return false
  if (running === undefined) return ended.length < aheadLimit
  return ended.length + handed.length + 1 < aheadLimit && mayHand(state)
}

/** Whether this is one that may be given now. */
export function fits({ running, policy }: TurnState, delivery: Delivery): boolean {
  return running === undefined || mayBeHanded(delivery, policy.maxAttempts)
}

/** When the next tick is due. */
export function wakesAt({ running, refusal, abortAt }: TurnState): number | undefined {
  const times: number[] = []
  if (refusal?.at !== undefined) times.push(refusal.at)
  if (running?.stage === 'running')
    times.push(running.abort ? running.abort.killAt : Math.min(running.deadline, abortAt ?? running.deadline))
  const soonest = Math.min(...times)
  return Number.isFinite(soonest) ? soonest : undefined
}

function handle(draft: TurnDraft, input: TurnInput): void {
  switch (input.kind) {
    case 'loaded':
      return onLoaded(draft, input.effects)
    case 'take':
      return onTake(draft, input.delivery)
    case 'ended':
      return onEnded(draft, input)
    case 'call':
      return onCall(draft, input)
    case 'verdict':
      return onVerdict(draft, input)
    case 'pause':
      draft.isPaused = true
      return
    case 'resume':
      draft.isPaused = false
      return
    case 'lost':
      return onLost(draft)
    case 'jobLost':
      return onJobLost(draft, input.id)
    case 'expired':
      return onExpired(draft, input.messages)
    case 'drain':
      return onDrain(draft, input.abortAt)
    case 'tick':
      return onTick(draft)
    case 'exited':
      return onExited(draft, input)
  }
}

/** What has become possible. */
function advance(draft: TurnDraft): void {
  const { running } = draft
  if (running?.stage === 'cleared' && !draft.isPaused) run(draft, running.turn, running.delivery, true)
  for (const call of requestsWaiting(draft)) draft.effects.push({ kind: 'request', ...call })
  const isOver = draft.phase === 'draining' || draft.phase === 'closed'
  if (isOver && !draft.isDrained && !draft.running && draft.ended.length === 0) {
    draft.isDrained = true
    draft.effects.push({ kind: 'drained' })
  }
}

function onLoaded(draft: TurnDraft, effects: Effects): void {
  if (draft.phase !== 'loading' || draft.ended.length > 0) return
  if (effects.state !== undefined || effects.timers.length > 0) {
    return commit(draft, { turn: 0, delivery: null, outcome: 'done', ...saved(draft, effects) })
  }
  draft.phase = 'open'
  draft.effects.push({ kind: 'ready' })
}

/** The effects of a turn, with the version that its state was made from. */
function saved(draft: TurnDraft, effects: Effects): Pick<TurnCommit, 'effects' | 'state'> {
  if (effects.state === undefined) return { effects }
  const state = { version: draft.version, value: effects.state }
  draft.version += 1
  return { effects, state }
}

function onTake(draft: TurnDraft, delivery: Delivery): void {
  if (!canTake(draft) || !fits(draft, delivery)) return
  const turn = draft.next
  draft.next += 1
  if (delivery.kind === 'job') return run(draft, turn, delivery, true)
  if (draft.running) return hand(draft, draft.running, { turn, delivery })
  const { attempts, interruptions } = delivery.message
  if (attempts >= draft.policy.maxAttempts) {
    const reason = interruptions > 0 ? 'poison' : 'attempts_exhausted'
    return commit(draft, { turn, delivery, outcome: 'dead', isCounted: true, reason })
  }
  if (interruptions < suspectFrom) return run(draft, turn, delivery, false)
  draft.running = { turn, delivery, stage: 'announced', isCounted: false, deadline: Number.POSITIVE_INFINITY, abort: undefined }
  commit(draft, { turn, delivery, outcome: 'started' })
}

function run(draft: TurnDraft, turn: number, delivery: Delivery, isCounted: boolean): void {
  const tried = delivery.kind === 'job' ? delivery.job.attempt : delivery.message.attempts
  begin(draft, turn, delivery, isCounted)
  draft.effects.push({ kind: 'run', turn, delivery, attempt: tried + (isCounted ? 0 : 1) })
}

function onEnded(draft: TurnDraft, { turn, outcome, isQuick = false }: Extract<TurnInput, { kind: 'ended' }>): void {
  const { running } = draft
  if (running?.turn !== turn || running.stage !== 'running') return
  draft.running = undefined
  if (outcome.kind === 'threw') {
    onThrew(draft, running, outcome)
    return takeBack(draft)
  }
  const { delivery, isCounted } = running
  unblock(draft, delivery)
  commit(draft, { turn, delivery, isCounted, outcome: 'done', reply: outcome.reply, ...saved(draft, outcome.effects) })
  pace(draft, isQuick)
  runHanded(draft)
}

function onThrew(draft: TurnDraft, running: Running, outcome: Extract<ThreadOutcome, { kind: 'threw' }>): void {
  const { turn, delivery, isCounted, abort } = running
  draft.waiting = draft.waiting.filter((call) => call.turn !== turn)
  if (abort?.code === 'LEASE_LOST') return // the job is another's, and nothing of the turn is left
  const { error, isFinal } = outcome
  if (abort?.code === 'STOPPED' && !isFinal) return commit(draft, { turn, ...givenBack(running), error })
  const block = judgeBlock(outcome, draft.wallNow)
  if (block) return onBlocked(draft, running, { ...block, error })
  const record = { turn, delivery, isCounted, ...judgeFailure(running, outcome, draft.policy, draft.random) }
  if (record.outcome === 'retry' && delivery.kind === 'message') {
    const message = { ...delivery.message, attempts: delivery.message.attempts + (isCounted ? 0 : 1) }
    draft.effects.push({ kind: 'hold', message, retryIn: record.retryIn ?? 0 })
  }
  draft.effects.push({ kind: 'threw', record })
  commit(draft, record)
}

/** It is tried again as it is, and no attempt is counted; a job goes back, perhaps to somebody who is not blocked. */
function onBlocked(draft: TurnDraft, running: Running, { reason, after, error }: Blocked & { readonly error: ErrorData }): void {
  const { turn, delivery } = running
  draft.blocked = { what: whatOf(delivery), reason, until: draft.now + after }
  draft.effects.push({ kind: 'blocked', reason, after })
  if (delivery.kind === 'job') return commit(draft, { turn, delivery, outcome: 'released', error })
  const { attempts } = delivery.message
  draft.effects.push({ kind: 'hold', message: { ...delivery.message, attempts: attempts - (running.isCounted ? 1 : 0) }, retryIn: after })
  commit(draft, { turn, delivery, isCounted: true, ...takenBack(running), outcome: 'retry', error, retryIn: after })
}

function unblock(draft: TurnDraft, delivery: Delivery): void {
  if (draft.blocked?.what !== whatOf(delivery)) return
  draft.blocked = undefined
  draft.effects.push({ kind: 'unblocked' })
}

function whatOf(delivery: Delivery): string {
  return `${delivery.kind} ${delivery.kind === 'job' ? delivery.job.type : delivery.message.type}`
}

/** A stop is no fault of what it keeps from its end: nothing counts it. */
function givenBack({ delivery, isCounted }: Running): Pick<TurnCommit, 'delivery' | 'outcome' | 'isCounted' | 'isTakenBack' | 'retryIn'> {
  if (delivery.kind === 'job') return { delivery, outcome: 'released' }
  return { delivery, outcome: 'retry', isCounted: true, ...takenBack({ isCounted }), retryIn: afterStop }
}

/** What kept it from its end was nobody's failed attempt. */
function takenBack({ isCounted }: Pick<Running, 'isCounted'>): Pick<TurnCommit, 'isTakenBack'> {
  return isCounted ? { isTakenBack: true } : {}
}

/** A call of a turn that is over or was told to end needs no answer: the actor waits for it no more. */
function onCall(draft: TurnDraft, { call, turn, request }: Call): void {
  const { running } = draft
  if (running?.turn === turn && running.stage === 'running' && !running.abort) draft.waiting = [...draft.waiting, { call, turn, request }]
}

function onLost(draft: TurnDraft): void {
  if (draft.running?.stage === 'running') draft.effects.push({ kind: 'abort', code: 'LEASE_LOST' })
  close(draft)
  draft.ended = []
  draft.round += 1
  draft.effects.push({ kind: 'discard' })
}

function close(draft: TurnDraft): void {
  draft.phase = 'closed'
  draft.running = undefined
  draft.handed = []
  draft.waiting = []
  draft.refusal = undefined
}

function onJobLost(draft: TurnDraft, id: string): void {
  const { running } = draft
  if (running?.delivery.kind === 'job' && running.delivery.job.id === id) abortRunning(draft, 'LEASE_LOST')
}

function abortRunning(draft: TurnDraft, code: AbortCode): void {
  const { running } = draft
  if (running?.stage !== 'running' || running.abort) return
  // A stop has a limit of its own, which is the supervisor's.
  const killAt = code === 'STOPPED' ? Number.POSITIVE_INFINITY : draft.now + patience
  draft.running = { ...running, abort: { code, killAt } }
  draft.waiting = draft.waiting.filter((call) => call.turn !== running.turn)
  draft.effects.push({ kind: 'abort', code, turn: running.turn })
}

function onExpired(draft: TurnDraft, messages: Extract<TurnInput, { kind: 'expired' }>['messages']): void {
  if (draft.phase !== 'open') return
  for (const message of messages) {
    const delivery = { kind: 'message', message } as const
    commit(draft, { turn: draft.next, delivery, outcome: 'dead', isCounted: true, reason: 'expired' })
    draft.next += 1
  }
}

function onDrain(draft: TurnDraft, abortAt: number): void {
  if (draft.phase === 'draining' || draft.phase === 'closed') return
  draft.phase = 'draining'
  draft.abortAt = abortAt
}

function onTick(draft: TurnDraft): void {
  const { running, refusal, now } = draft
  if (refusal?.at !== undefined && refusal.at <= now) {
    draft.refusal = { ...refusal, at: undefined }
    draft.effects.push({ kind: 'commit', round: draft.round, records: draft.ended })
  }
  if (running?.stage !== 'running') return
  if (running.abort) {
    if (running.abort.killAt > now) return
    draft.running = { ...running, abort: { ...running.abort, killAt: Number.POSITIVE_INFINITY } }
    draft.effects.push({ kind: 'kill' })
  } else if (running.deadline <= now) abortRunning(draft, 'TURN_TIMEOUT')
  else if (draft.abortAt !== undefined && draft.abortAt <= now) abortRunning(draft, 'STOPPED')
}

/** Only what ran when the thread died is to blame; turns that had ended are committed as they are. */
function onExited(draft: TurnDraft, { cause, error }: Extract<TurnInput, { kind: 'exited' }>): void {
  if (draft.phase === 'closed') return
  const { running, refusal } = draft
  close(draft)
  if (refusal) {
    // What no mailbox takes would keep the actor from coming up again; it is handled again instead.
    draft.ended = []
    draft.round += 1
    draft.effects.push({ kind: 'discard' })
  }
  if (running?.stage !== 'running' || running.abort?.code === 'LEASE_LOST') return
  const { turn, delivery, isCounted } = running
  if (cause === 'stopped') return commit(draft, { turn, ...givenBack(running), error, isDeath: true })
  const record = {
    turn,
    delivery,
    isCounted,
    isDeath: true,
    ...judgeFailure(running, { error, isDeath: true }, draft.policy, draft.random),
  }
  draft.effects.push({ kind: 'threw', record })
  commit(draft, record)
}
