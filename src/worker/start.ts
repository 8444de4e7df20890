import type { Context, Definition, InitContext, StopContext } from '../actor.ts'
import { ActorError } from '../core/errors.ts'
import type { Effects, HostFrame } from '../core/frames.ts'
import type { Abort } from './abort.ts'
import { createAlways, refusals } from './always.ts'
import { createCalls } from './calls.ts'
import { messageOf } from './error-data.ts'
import { loadDefinition } from './load.ts'
import { createLog } from './log.ts'
import type { Port } from './port.ts'
import { issueTextFor, parse } from './schema.ts'
import { createState, type Draft } from './state.ts'
import { createTimers } from './timers.ts'
import { assertOpen, closeTurn, leaveTurn, openTurn, type Resident, type Turn } from './turn.ts'
import { connectHttp, createTurnHttp } from './turn-http.ts'

export type LoadFrame = Extract<HostFrame, { kind: 'load' }>

const sends = [
  'tell',
  'broadcast',
  'ask',
  'step',
  'id',
  'fatal',
  'retry',
  'jobs.create',
  'db.write',
  'db.call',
  'db.read',
  'llm.text',
  'llm.object',
  'compute',
]

/** Makes an actor of its file and args, all but its init. */
export async function createResident(load: LoadFrame, port: Port): Promise<Resident> {
  // Before the actor's file, which may look for a dispatcher.
  const link = load.http && connectHttp(load.http)
  const definition = await loadDefinition(load.file)
  const common = {
    id: load.actor,
    args: await parseArgs(definition, load),
    calls: createCalls(load.actor, port),
    log: createLog(load.actor, port.log),
    send: port.send,
  }
  return {
    ...common,
    definition,
    sql: new Set(load.sql),
    state: definition.persist ? createState(load.state, { isSaved: true }) : createState(null, { isSaved: false }),
    link,
    always: createAlways(common),
  }
}

async function parseArgs({ args: schema }: Definition, { actor, args }: LoadFrame): Promise<unknown> {
  const given: unknown = JSON.parse(args)
  const parsed = await parse(schema, given, 'args', issueTextFor(given))
  if (!parsed.issues) return parsed.value
  const { issues } = parsed
  throw new ActorError('CONFIG_INVALID', `The args of "${actor}" are not what its actor file takes: ${issues.join('; ')}`, {
    details: { issues },
  })
}

/** Runs init as turn 0: its timers, and the state when it is new and has to be saved. */
export async function runInit(actor: Resident, abort: Abort): Promise<Effects> {
  const turn = openTurn(0, 'init', abort)
  const draft = actor.state.open()
  const isNew = draft.value === undefined
  try {
    const first = await actor.definition.init?.(createInitContext(actor, turn, draft))
    if (isNew && !draft.isReplaced && first !== undefined) draft.value = first
    return closeTurn(turn, draft.commit())
  } catch (thrown) {
    throw startError(`init of "${actor.id}"`, thrown)
  } finally {
    leaveTurn(actor, turn)
  }
}

/** Says what did not work, with the code of a failed start. */
export function startError(what: string, cause: unknown): ActorError {
  const message = cause instanceof Error ? messageOf(cause) : String(cause)
  return new ActorError('START_FAILED', `${what} failed: ${message}`, { cause })
}

function createInitContext(actor: Resident, turn: Turn, draft: Draft): InitContext {
  return {
    ...refusals(sends, 'is not there in init, which may set the state and timers and no more: let it set a timer that starts the work'),
    ...actor.always,
    ...createTimers(actor, turn),
    http: createTurnHttp(actor, turn),
    get signal() {
      return turn.abort.signal
    },
    get state() {
      return draft.value
    },
    set state(next) {
      assertOpen(turn, 'ctx.state =')
      draft.value = next
    },
  }
}

/** Runs stop, which may close what the actor opened. */
export async function runStop(actor: Resident, abort: Abort): Promise<void> {
  const turn = openTurn(0, 'stop', abort)
  const ctx: StopContext = {
    ...refusals([...sends, 'every', 'after', 'cancel'], 'is not there in stop: nothing of it would be committed'),
    ...(actor.always as Omit<Context, 'signal' | 'state'>),
    http: createTurnHttp(actor, turn),
    get signal() {
      return abort.signal
    },
    state: actor.state.value as object,
  }
  try {
    await actor.definition.stop?.(ctx)
  } finally {
    leaveTurn(actor, turn)
  }
}
