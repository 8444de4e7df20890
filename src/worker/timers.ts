import type { InitContext } from '../actor.ts'
import { ActorError } from '../core/errors.ts'
import { checkName, checkNumber } from './checks.ts'
import { toJson } from './json.ts'
import { assertOpen, type Resident, type Turn } from './turn.ts'

/** Collects changes of an actor's durable timers. */
export function createTimers({ id, definition }: Resident, turn: Turn): Pick<InitContext, 'every' | 'after' | 'cancel'> {
  const { timers } = turn.collected

  function check(call: string, name: string, type: string): void {
    assertOpen(turn, call)
    checkName(name, `The name of ${call}`)
    if (Object.hasOwn(definition.receive ?? {}, type)) return
    throw new ActorError('HANDLER_NOT_FOUND', `${call} would send "${type}", for which ${id} has no handler`)
  }

  return {
    every(interval, type, { name = type, body } = {}) {
      check('ctx.every', name, type)
      checkNumber(interval, 'The interval of ctx.every', { least: 1 })
      const every = Math.round(interval)
      timers.push({ name, type, body: toJson(body, 'body'), every, dueIn: every })
    },
    after(delay, type, body, { name = type } = {}) {
      check('ctx.after', name, type)
      checkNumber(delay, 'The delay of ctx.after')
      timers.push({ name, type, body: toJson(body, 'body'), dueIn: Math.ceil(delay) })
    },
    cancel(name) {
      assertOpen(turn, 'ctx.cancel')
      checkName(name, 'The name of ctx.cancel')
      timers.push({ name, cancel: true })
    },
  }
}
