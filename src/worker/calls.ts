import type { Transferable } from 'node:worker_threads'
import { ActorError } from '../core/errors.ts'
import type { Answer, Request, ServiceName, UseOutcome } from '../core/frames.ts'
import type { Outgoing } from '../core/message.ts'
import { fromErrorData } from './error-data.ts'
import type { Port } from './port.ts'

export type Success = Extract<Answer, { ok: true }>

/** What one actor asked of the host and waits for. */
export type Calls = {
  request(turn: number, request: Request): Promise<Success>
  post(message: Outgoing): Promise<Success>
  settle(call: number, answer: Answer): void
  /** Asks a service of the host; throws what cannot be cloned. When nobody waits any more the host is told so. */
  use(turn: number, service: ServiceName, input: unknown, options?: UseOptions): Promise<unknown>
  used(call: number, outcome: UseOutcome): void
  /** Rejects what a turn waits for; messages from outside turns go on. */
  abandon(turn: number, reason: ActorError): void
  /**
   * Gives up what a turn that is over waits for; gives how much that is. None of it settles: nobody may listen any more, and an error
   * that nobody hears ends the thread.
   */
  leave(turn: number): number
}

export type UseOptions = { readonly signal?: AbortSignal | undefined; readonly transfer?: readonly Transferable[] | undefined }

/** Messages from outside turns that may wait for the store at a time. */
const postLimit = 10_000

type Using = {
  readonly turn: number
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
  /** Stops listening for the caller's own abort. */
  readonly deafen: () => void
}

type Waiting = { readonly resolve: (answer: Success) => void; readonly reject: (reason: Error) => void }

/** Makes the calls of one actor. */
export function createCalls(actor: string, { send, move }: Pick<Port, 'send' | 'move'>): Calls {
  const asking = new Map<number, Waiting & { readonly turn: number }>()
  const posting = new Map<number, Waiting>()
  const using = new Map<number, Using>()
  let last = 0

  /** What is used, and is not any more. */
  function release(call: number): Using | undefined {
    const one = using.get(call)
    using.delete(call)
    one?.deafen()
    return one
  }

  function giveUp(call: number, reason: unknown): void {
    const one = release(call)
    if (!one) return
    send({ kind: 'unuse', actor, call })
    one.reject(reason)
  }

  return {
    async use(turn, service, input, { signal, transfer = [] } = {}) {
      signal?.throwIfAborted()
      last += 1
      const call = last
      move({ kind: 'use', actor, turn, call, service, input }, transfer)
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      const onAbort = () => giveUp(call, signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      using.set(call, { turn, resolve, reject, deafen: () => signal?.removeEventListener('abort', onAbort) })
      return promise
    },
    used(call, outcome) {
      const one = release(call)
      if (outcome.ok) one?.resolve(outcome.value)
      else one?.reject(fromErrorData(outcome.error))
    },
    request(turn, request) {
      last += 1
      const { promise, resolve, reject } = Promise.withResolvers<Success>()
      asking.set(last, { turn, resolve, reject })
      send({ kind: 'call', actor, turn, call: last, request })
      return promise
    },
    post(message) {
      if (posting.size === postLimit)
        return Promise.reject(new ActorError('MAILBOX_FULL', `${postLimit} posted messages wait for the store`))
      last += 1
      const { promise, resolve, reject } = Promise.withResolvers<Success>()
      posting.set(last, { resolve, reject })
      send({ kind: 'post', actor, call: last, message })
      return promise
    },
    settle(call, answer) {
      const one = asking.get(call) ?? posting.get(call)
      if (!one) return // abandoned, or left
      asking.delete(call)
      posting.delete(call)
      if (answer.ok) one.resolve(answer)
      else one.reject(fromErrorData(answer.error))
    },
    abandon(turn, reason) {
      for (const [call, one] of asking) {
        if (one.turn !== turn) continue
        asking.delete(call)
        one.reject(reason)
      }
      for (const [call, one] of using) if (one.turn === turn) giveUp(call, reason)
    },
    leave(turn) {
      let left = 0
      for (const [call, one] of asking) {
        if (one.turn !== turn) continue
        asking.delete(call)
        left += 1
      }
      for (const [call, one] of using) {
        if (one.turn !== turn) continue
        release(call)
        left += 1
      }
      return left
    },
  }
}
