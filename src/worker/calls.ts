import { ActorError } from '../core/errors.ts'
import type { Answer, Request, ThreadFrame } from '../core/frames.ts'
import type { Outgoing } from '../core/message.ts'
import { fromErrorData } from './error-data.ts'

export type Success = Extract<Answer, { ok: true }>

/** What one actor asked of the host and waits for. */
export type Calls = {
  request(turn: number, request: Request): Promise<Success>
  post(message: Outgoing): Promise<Success>
  settle(call: number, answer: Answer): void
  /** Rejects what a turn waits for; messages from outside turns go on. */
  abandon(turn: number, reason: ActorError): void
}

/** Messages from outside turns that may wait for the store at a time. */
const postLimit = 10_000

type Waiting = { readonly turn: number | null; readonly resolve: (answer: Success) => void; readonly reject: (reason: Error) => void }

/** Makes the calls of one actor. */
export function createCalls(actor: string, send: (frame: ThreadFrame) => void): Calls {
  const waiting = new Map<number, Waiting>()
  let last = 0
  let posts = 0

  function wait(turn: number | null): { call: number; answer: Promise<Success> } {
    last += 1
    const { promise, resolve, reject } = Promise.withResolvers<Success>()
    waiting.set(last, { turn, resolve, reject })
    return { call: last, answer: promise }
  }

  return {
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
    },
  }
}
