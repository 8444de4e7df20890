import { ActorError } from '../core/errors.ts'
import type { HttpFailure } from '../core/http-wire.ts'

/** Fields of system errors and of undici's that tell what has happened, and where. */
const told = ['errno', 'syscall', 'hostname', 'address', 'port', 'statusCode', 'socket', 'data']

/** Turns the network's error into data, with everything that programs look at. */
export function toFailure(thrown: unknown, depth = 3): HttpFailure {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown) }
  const { code, cause, errors, details } = thrown as Error & {
    code?: unknown
    errors?: unknown
    details?: Readonly<Record<string, unknown>>
  }
  const fields = thrown instanceof ActorError ? details : pick(thrown)
  const marks = marksOf(thrown)
  return {
    name: thrown.name,
    message: thrown.message,
    ...(typeof code === 'string' && { code }),
    ...(marks.length > 0 && { marks }),
    ...(fields && Object.keys(fields).length > 0 && { fields }),
    ...(cause !== undefined && depth > 0 && { cause: toFailure(cause, depth - 1) }),
    ...(Array.isArray(errors) && depth > 0 && { errors: errors.map((error) => toFailure(error, depth - 1)) }),
  }
}

/** undici's classes know theirs by getters with a registered symbol each, so that another copy of undici knows them too. */
function marksOf(error: Error): string[] {
  const marks: string[] = []
  for (let level: object | null = Object.getPrototypeOf(error); level; level = Object.getPrototypeOf(level))
    for (const symbol of Object.getOwnPropertySymbols(level)) {
      const key = Symbol.keyFor(symbol)
      if (key?.startsWith('undici.error.')) marks.push(key)
    }
  return marks
}

function pick(error: Error): Record<string, unknown> {
  const given = error as unknown as Record<string, unknown>
  return Object.fromEntries(told.flatMap((name) => (isPlain(given[name]) ? [[name, given[name]]] : [])))
}

function isPlain(value: unknown): boolean {
  if (value === null || value === undefined) return false
  if (typeof value !== 'object') return typeof value === 'string' || typeof value === 'number'
  return Object.values(value).every((one) => one === null || one === undefined || ['string', 'number', 'boolean'].includes(typeof one))
}
