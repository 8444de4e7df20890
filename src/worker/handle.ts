import { inspect } from 'node:util'
import { ActorError } from '../core/errors.ts'
import type { ThreadFrame } from '../core/frames.ts'
import type { JsonText } from '../core/message.ts'
import { storable } from '../core/storable.ts'
import type { Abort } from './abort.ts'
import { createContext, type TurnFrame } from './context.ts'
import { Ending } from './ending.ts'
import { messageOf, toErrorData } from './error-data.ts'
import { toJson } from './json.ts'
import { type Parsed, parse } from './schema.ts'
import { closeTurn, leaveTurn, openTurn, type Resident } from './turn.ts'

export type Outcome = Extract<ThreadFrame, { kind: 'ended' }>['outcome']

type Handler = (body: unknown, ctx: unknown) => unknown
export type Source = 'message' | 'job'

/** Runs the handler of one message or job: what it collected and replied, or why it failed. */
export async function runTurn(actor: Resident, frame: TurnFrame, abort: Abort): Promise<Outcome> {
  const turn = openTurn(frame.turn, `${frame.source} "${frame.type}"`, abort)
  const draft = actor.state.open()
  try {
    if (frame.isBroadcast && !hasHandler(actor, frame.type))
      return { kind: 'done', reply: 'null', effects: closeTurn(turn, draft.commit()) }
    const handler = handlerOf(actor, frame.source, frame.type)
    const body = await parseBody(actor, frame.source, frame.type, frame.body)
    const reply = toJson(await handler(body, createContext(actor, turn, frame, draft)), 'reply')
    return { kind: 'done', reply, effects: closeTurn(turn, draft.commit()) }
  } catch (thrown) {
    return failure(thrown, turn.name)
  } finally {
    leaveTurn(actor, turn)
  }
}

/** Whether it takes messages of a type. What was told to all is not for everybody, and is no dead letter of theirs. */
export function hasHandler({ definition }: Resident, type: string): boolean {
  return Object.hasOwn(definition.receive ?? {}, type)
}

/** Finds the handler of a type; HANDLER_NOT_FOUND, which no other attempt would cure. */
export function handlerOf({ id, definition }: Resident, source: Source, type: string): Handler {
  const handlers = source === 'message' ? definition.receive : definition.run
  const handler = handlers && Object.hasOwn(handlers, type) ? handlers[type] : undefined
  if (handler) return handler as Handler
  const known = Object.keys(handlers ?? {})
  const message = `${id} has no handler for ${source}s of type "${type}"; it has ${known.length > 0 ? known.join(', ') : 'none'}`
  throw new Ending('HANDLER_NOT_FOUND', message, { isFinal: true })
}

/** Parses a body by the schema of its type; BODY_INVALID with the issues. A promise only for a schema that needs one. */
export function parseBody(actor: Resident, source: Source, type: string, body: JsonText): unknown {
  return parseValue(actor, source, type, readText(body, rootOf(source)))
}

/** The same for a body that has been read. */
export function parseValue({ definition }: Resident, source: Source, type: string, value: unknown): unknown {
  const schemas = source === 'message' ? definition.messages : definition.jobs
  const schema = schemas && Object.hasOwn(schemas, type) ? schemas[type] : undefined
  if (schema === undefined || schema === true) return value
  const parsed = parse(schema, value, rootOf(source))
  return parsed instanceof Promise ? parsed.then(parsedValue) : parsedValue(parsed)
}

function parsedValue(parsed: Parsed): unknown {
  if (parsed.issues === undefined) return parsed.value
  const { issues } = parsed
  throw new Ending('BODY_INVALID', issues.join('; '), { isFinal: true, details: { issues } })
}

function rootOf(source: Source): string {
  return source === 'message' ? 'body' : 'input'
}

function readText(text: JsonText, root: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Ending('BODY_INVALID', `${root} is not JSON: ${(cause as Error).message}`, { isFinal: true, cause })
  }
}

function failure(thrown: unknown, name: string): Outcome {
  const { isFinal = false, retryIn = undefined } = thrown instanceof Ending ? thrown : {}
  return { kind: 'threw', error: toErrorData(asActorError(thrown, name)), isFinal, ...(retryIn !== undefined && { retryIn }) }
}

/** Gives what a handler threw a code of ours; what it was is the cause. */
export function asActorError(thrown: unknown, name: string): ActorError {
  if (thrown instanceof ActorError) return thrown
  const message = thrown instanceof Error ? messageOf(thrown) : `it threw ${shownAs(thrown)}, which is not an Error`
  return new ActorError('HANDLER_FAILED', `The handler of ${name} failed: ${message}`, { cause: thrown })
}

/** As short as it may be, and without what its author made of the showing. */
function shownAs(thrown: unknown): string {
  try {
    return storable(inspect(thrown, { depth: 1, maxArrayLength: 10, maxStringLength: 200, customInspect: false }), 200)
  } catch {
    return `what cannot be shown (${typeof thrown})`
  }
}
