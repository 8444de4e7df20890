import { ActorError, type Code, codes } from '../core/errors.ts'
import type { HttpFailure } from '../core/http-wire.ts'

const ours: ReadonlySet<string> = new Set(Object.values(codes).flat())

/** Rebuilds the pool's error, also for undici's instanceof, without importing it. */
export function fromFailure({ name, message, code, fields, marks = [], cause, errors }: HttpFailure): Error {
  if (code !== undefined && ours.has(code)) return new ActorError(code as Code, message, { ...(fields && { details: fields }) })
  const options = cause ? { cause: fromFailure(cause) } : undefined
  const error = errors ? new AggregateError(errors.map(fromFailure), message, options) : new Error(message, options)
  Object.assign(error, fields, code !== undefined && { code })
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true })
  for (const mark of marks) Object.defineProperty(error, Symbol.for(mark), { value: true })
  return error
}
