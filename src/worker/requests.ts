import { ActorError } from '../core/errors.ts'
import type { Request } from '../core/frames.ts'
import type { Success } from './calls.ts'
import { checkName } from './checks.ts'
import { fromJson, toJson } from './json.ts'
import { assertOpen, type Resident, type Turn } from './turn.ts'

/** Sends a request that leaves at once; an aborted turn starts nothing more. */
export async function request(actor: Resident, turn: Turn, call: string, one: Request): Promise<Success> {
  assertOpen(turn, call)
  if (turn.abort.reason) throw turn.abort.reason
  return actor.calls.request(turn.number, one)
}

/** Reads an answer's value; null where there is none. */
export function answered({ value }: Success): unknown {
  return value === null ? null : fromJson(value)
}

/** Runs steps of one turn: each saves its start, runs, and saves its result. */
export function createSteps(actor: Resident, turn: Turn) {
  const names = new Set<string>()
  const save = (one: Request) => request(actor, turn, 'ctx.step', one)

  return async function step(name: string, fn: () => unknown, { once = false }: { readonly once?: boolean | undefined } = {}) {
    assertOpen(turn, 'ctx.step')
    checkName(name, 'The name of ctx.step')
    if (names.has(name))
      throw new ActorError('STEP_DUPLICATE', `${turn.name} has two steps named "${name}": a repeat could not tell them apart`)
    names.add(name)
    turn.collected.steps = true
    const key = `step:${name}`
    const start = await save({ kind: 'stepStart', key })
    if (start.known === 'finished') return answered(start)
    if (start.known === 'started' && once) throw unknownStep(turn, name)
    const result = toJson(await fn(), `The result of step "${name}"`)
    const finish = await save({ kind: 'stepFinish', key, result })
    return finish.known === 'finished' ? answered(finish) : fromJson(result)
  }
}

function unknownStep({ name }: Turn, step: string): ActorError {
  return new ActorError('STEP_UNKNOWN', `Step "${step}" of ${name} was started before, and nobody knows how it ended`, {
    details: { step },
  })
}
