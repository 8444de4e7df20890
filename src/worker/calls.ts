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
}

export type UseOptions = { readonly signal?: AbortSignal | undefined; readonly transfer?: readonly Transferable[] | undefined }

/** Messages from outside turns that may wait for the store at a time. */
const postLimit = 10_000

type Using = { readonly turn: number; readonly resolve: (value: unknown) => void; readonly reject: (reason: unknown) => void }

type Waiting = { readonly turn: number | null; readonly resolve: (answer: Success) => void; readonly reject: (reason: Error) => void }

/** Makes the calls of one actor. */
export function createCalls(actor: string, { send, move }: Pick<Port, 'send' | 'move'>): Calls {
  const waiting = new Map<number, Waiting>()
  const using = new Map<number, Using>()
  let last = 0
  let posts = 0

  function wait(turn: number | null): { call: number; answer: Promise<Success> } {
    last += 1
    const { promise, resolve, reject } = Promise.withResolvers<Success>()
    waiting.set(last, { turn, resolve, reject })
    return { call: last, answer: promise }
  }

  function giveUp(call: number, reason: unknown): void {
    const one = using.get(call)
    if (!one) return
    using.delete(call)
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
      using.set(call, { turn, resolve, reject })
      const onAbort = () => giveUp(call, signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      return promise.finally(() => signal?.removeEventListener('abort', onAbort))
    },
    used(call, outcome) {
      const one = using.get(call)
      using.delete(call)
      if (outcome.ok) one?.resolve(outcome.value)
      else one?.reject(fromErrorData(outcome.error))
    },
    request(turn, request) {
      const { call, answer } = wait(turn)
      send({ kind: 'call', actor, turn, call, request })
      return answer
    },
    post(message) {
      if (posts === postLimit) return Promise.reject(new ActorError('MAILBOX_FULL', `${postLimit} posted messages wait for the store`))
      posts += 1
      const { call, answer } = wait(null)
      send({ kind: 'post', actor, call, message })
      return answer
    },
    settle(call, answer) {
      const one = waiting.get(call)
      if (!one) return // abandoned
      waiting.delete(call)
      if (one.turn === null) posts -= 1
      if (answer.ok) one.resolve(answer)
      else one.reject(fromErrorData(answer.error))
    },
    abandon(turn, reason) {
      for (const [call, one] of waiting) {
        if (one.turn !== turn) continue
        waiting.delete(call)
        one.reject(reason)
      }
      for (const [call, one] of using) if (one.turn === turn) giveUp(call, reason)
    },
  }
}
