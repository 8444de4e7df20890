import type { Context } from '../actor.ts'
import { ActorError } from '../core/errors.ts'
import { longestReason, storable } from '../core/storable.ts'
import { checkWord } from './checks.ts'
import { toJson } from './json.ts'
import { newMessageId, uuidOf } from './keys.ts'
import { makeMessage } from './outgoing.ts'
import type { Resident } from './turn.ts'

/** What every ctx has, and what goes on working when its turn is over. */
export type Always = Pick<Context, 'self' | 'args' | 'now' | 'log' | 'status' | 'post'>

export function createAlways({ id, args, log, send, calls }: Pick<Resident, 'id' | 'args' | 'log' | 'send' | 'calls'>): Always {
  return {
    self: id,
    args,
    log,
    now: () => Date.now(),
    status(status, reason) {
      checkWord(status, 'The status of ctx.status', ['idle', 'working', 'blocked'])
      // A reason may quote what somebody else wrote.
      send({ kind: 'status', actor: id, status, ...(reason !== undefined && { reason: storable(String(reason), longestReason) }) })
    },
    async post({ to = id, type, body, ...options }, { id: name } = {}) {
      const uuid = name === undefined ? newMessageId() : uuidOf([id, 'post', name])
      await calls.post(makeMessage({ by: 'ctx.post', id: uuid, to, type, body: toJson(body, 'body') }, options))
    },
  }
}

/** Functions that are not there, each with the same reason; a dot leads into an object. */
export function refusals(names: readonly string[], why: string): object {
  const refused: Record<string, unknown> = {}
  for (const name of names) {
    const refuse = () => {
      throw new ActorError('HANDLER_FAILED', `ctx.${name} ${why}`)
    }
    const [owner = '', member] = name.split('.')
    refused[owner] = member === undefined ? refuse : { ...(refused[owner] as object | undefined), [member]: refuse }
  }
  return refused
}
