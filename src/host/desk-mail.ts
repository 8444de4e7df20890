import type { ThreadFrame } from '../core/frames.ts'
import type { Message } from '../core/message.ts'
import type { Turn, TurnVerdict } from '../store/functions/turns.ts'
import { createAsyncMail, type FailedMail } from './async-mail.ts'
import type { DeskOptions } from './desk-types.ts'
import { unheeded } from './desk-words.ts'

/** The mail of an actor with `durability: async`: what waited in the table is settled there once it is handled, without turns. */
export function createDeskMail(
  { spec, child, token, office: { outbox, asks, emit, clock } }: DeskOptions,
  onSettled: (id: string) => void,
) {
  const { id: agent, team, mailbox: capacity } = spec
  const about = { team, id: agent, incarnation: child.incarnation }
  const owner = {}
  /** On their way to the table, by the message that each of them settles. */
  const open = new Map<string, Turn>()
  /** Which mail it is that the thread ends for. */
  let isKnown = false
  let settled: (() => void)[] = []

  function settle(row: Message, ending: Partial<Turn>): void {
    const { id, attempts, interruptions } = row
    const turn: Turn = { agent_id: agent, lease_token: token, message: { id, attempts, interruptions }, ...ending }
    open.set(id, turn)
    commit(id, turn)
  }

  function commit(id: string, turn: Turn): void {
    outbox.commit({ owner, turn, bytes: 500, onVerdict: (verdict) => take(id, turn, verdict) })
  }

  function take(id: string, turn: Turn, verdict: TurnVerdict): void {
    if (open.get(id) !== turn) return
    // A row follows from nothing else that the agent did: left in the table, it would be handled again.
    if (verdict.verdict === 'stale' && verdict.reason === 'follows') return commit(id, turn)
    open.delete(id)
    onSettled(id)
    letGo()
  }

  function letGo(): void {
    if (open.size > 0) return
    for (const resolve of settled) resolve()
    settled = []
  }

  function handled(rows: readonly Message[]): void {
    for (const row of rows) {
      settle(row, { outcome: 'done' })
      if (row.chain) asks.died(row.id, 'its mailbox has durability: async', undefined)
    }
  }

  function failed({ type, row, error: thrown }: FailedMail): void {
    // Told to all, and not meant for this one.
    if (row?.isBroadcast && thrown.code === 'HANDLER_NOT_FOUND') return settle(row, { outcome: 'done' })
    const error = `${thrown.code ?? thrown.name}: ${thrown.message}`
    const one = { ...about, source: 'message', handled: row?.id ?? '', type } as const
    emit({ name: 'turn:failed', ...one, attempt: 1, error, retryIn: null })
    if (!row) return
    settle(row, { outcome: 'dead', reason: 'attempts_exhausted', error })
    if (row.chain) asks.died(row.id, 'attempts_exhausted', thrown)
    emit({ name: 'message:dead', ...one, reason: 'attempts_exhausted', error })
  }

  const mail = createAsyncMail({ agent, capacity, post: child.post, onHandled: handled, onFailed: failed, unsettled: () => open.size })

  /** Resolves when nothing is left to commit. */
  function committed(): Promise<void> {
    if (open.size === 0) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    settled.push(resolve)
    return promise
  }

  return {
    mail,
    committed,
    acked(frame: Extract<ThreadFrame, { kind: 'acks' }>): void {
      mail.acked(frame)
      if (!frame.isHung) return
      isKnown = true
      child.kill(unheeded)
    },
    /** Lets the thread handle what came, for so many ms. */
    async drain(limit: number): Promise<void> {
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const cancel = clock.after(limit, resolve)
      await Promise.race([mail.emptied(), late])
      cancel()
    },
    /** The thread is gone: what it had of the table is handled again, and the first of it is suspect if that has ended the thread. */
    close(cause: 'crashed' | 'stopped'): void {
      const [first] = mail.close()
      if (first && cause === 'crashed' && !isKnown) settle(first, { outcome: 'interrupted' })
    },
    lose(): void {
      outbox.discard(owner)
      open.clear()
      letGo()
      mail.close()
    },
  }
}
