import { judgeFailure } from './attempt.ts'
import type { ErrorData } from './frames.ts'
import type { TurnDraft } from './turn-draft.ts'
import { type TurnCommit, type TurnInput, timeoutOf, type Verdict } from './turn-state.ts'

/** Between two attempts to put messages into a mailbox that is full: doubling from `first` to `max` ms. */
const wait = { first: 250, max: 5_000 } as const

/** Takes note of what the store said about the first of the turns that have ended. */
export function onVerdict(draft: TurnDraft, { turn, round, verdict }: Extract<TurnInput, { kind: 'verdict' }>): void {
  const head = draft.ended[0]
  if (head?.turn !== turn || round !== draft.round) return
  switch (verdict.kind) {
    case 'ok':
    case 'repeat':
      return onCommitted(draft, head)
    case 'stale': {
      const error = { name: 'ActorError', code: 'LEASE_LOST', message: `Its turn is stale: ${verdict.reason}` }
      return fall(draft, { records: draft.ended.slice(1).filter(isDeath), reason: verdict.reason, error })
    }
    case 'failed':
      return onFailed(draft, head, verdict)
  }
}

function onCommitted(draft: TurnDraft, head: TurnCommit): void {
  draft.ended = draft.ended.slice(1)
  draft.refusal = undefined
  draft.effects.push({ kind: 'committed', record: head })
  if (head.delivery === null && draft.phase === 'loading') {
    draft.phase = 'open'
    draft.effects.push({ kind: 'ready' })
  }
  const { running } = draft
  if (head.outcome === 'started' && running?.stage === 'announced') {
    draft.running = { ...running, stage: 'cleared', delivery: withAttempt(running.delivery) }
  }
}

function withAttempt<Given extends TurnCommit['delivery'] & {}>(delivery: Given): Given {
  if (delivery.kind === 'job') return delivery
  return { ...delivery, message: { ...delivery.message, attempts: delivery.message.attempts + 1 } }
}

function onFailed(draft: TurnDraft, head: TurnCommit, { code, message }: Extract<Verdict, { kind: 'failed' }>): void {
  const rest = draft.ended.slice(1)
  if (code === 'MAILBOX_FULL' && draft.phase === 'closed') return fall(draft, { records: rest.filter(isDeath), reason: 'failed' })
  if (code === 'MAILBOX_FULL' && mayWait(draft, head)) return
  const isOurs = code === 'MAILBOX_FULL'
  const error = { name: 'ActorError', code: isOurs ? code : 'STORE_FAILED', message, details: { code } }
  const { delivery, isCounted = false } = head
  if (head.outcome !== 'done' || !delivery) return fall(draft, { records: rest.filter(isDeath), reason: 'failed', error })
  const judged = judgeFailure({ delivery, isCounted }, { error }, draft.policy, draft.random)
  const record = { turn: head.turn, delivery, isCounted, ...judged }
  draft.effects.push({ kind: 'threw', record })
  // Later turns were built on this one: they are handled again, by an incarnation that never saw it.
  fall(draft, { records: [record, ...rest.filter(isDeath)], reason: 'failed', error })
}

/** Keeps all turns for another try, while there is time. */
function mayWait(draft: TurnDraft, { delivery }: TurnCommit): boolean {
  const limit = delivery ? timeoutOf(draft.policy, delivery) : draft.policy.turnTimeout
  const { tries, until } = draft.refusal ?? { tries: 0, until: draft.now + limit }
  if (draft.now >= until) return false
  draft.refusal = { tries: tries + 1, at: draft.now + Math.min(wait.max, wait.first * 2 ** tries), until }
  draft.round += 1
  draft.effects.push({ kind: 'discard' })
  return true
}

type Fall = { readonly records: readonly TurnCommit[]; readonly reason: string; readonly error?: ErrorData }

/** The turns do not stand: only `records` are left to commit, and what the actor has in memory counts no more. */
function fall(draft: TurnDraft, { records, reason, error }: Fall): void {
  const { phase, running } = draft
  draft.phase = 'closed'
  draft.running = undefined
  draft.handed = []
  draft.refusal = undefined
  draft.waiting = []
  draft.ended = records
  draft.round += 1
  draft.effects.push({ kind: 'discard' })
  if (records.length > 0) draft.effects.push({ kind: 'commit', round: draft.round, records })
  if (running?.stage === 'running') draft.effects.push({ kind: 'abort', code: 'STOPPED' })
  if (phase === 'loading' && error) draft.effects.push({ kind: 'refuseStart', error })
  if (phase === 'open') draft.effects.push({ kind: 'restart', reason })
}

function isDeath(record: TurnCommit): boolean {
  return record.isDeath === true
}
