import { inspect } from 'node:util'
import { ActorError, type Code, codes } from '../core/errors.ts'
import type { ErrorData } from '../core/frames.ts'
import { storable } from '../core/storable.ts'

const limits = { message: 4_000, stack: 8_000, details: 16_000, causes: 5 } as const
const known: ReadonlySet<string> = new Set(Object.values(codes).flat())

/** Turns whatever was thrown into data of bounded size that a port and the database can hold. */
export function toErrorData(thrown: unknown, causes: number = limits.causes): ErrorData {
  if (!(thrown instanceof Error)) return { name: 'Error', message: cut(`Thrown: ${inspect(thrown)}`, limits.message) }
  const { code, details } = thrown as { code?: unknown; details?: unknown }
  const kept = plainDetails(details)
  return {
    name: cut(String(thrown.name), 200),
    message: cut(String(thrown.message), limits.message),
    ...(typeof code === 'string' && { code: cut(code, 200) }),
    ...(typeof thrown.stack === 'string' && { stack: cut(thrown.stack, limits.stack) }),
    ...(kept && { details: kept }),
    ...(thrown.cause !== undefined && causes > 0 && { cause: toErrorData(thrown.cause, causes - 1) }),
  }
}

/** What an error says, with what its cause says: of "fetch failed" alone nobody learns what to do. */
export function messageOf(error: Error): string {
  const message = String(error.message) // libraries put other things than texts there
  const why = error.cause instanceof Error ? String(error.cause.message) : ''
  return message.includes(why) ? message : `${message}: ${why}`
}

/** Turns data back into an error: an ActorError when its code is one of ours. */
export function fromErrorData(data: ErrorData): Error {
  const options = data.cause ? { cause: fromErrorData(data.cause) } : {}
  const error = isCode(data.code)
    ? new ActorError(data.code, data.message, { ...options, ...(data.details && { details: data.details }) })
    : Object.assign(new Error(data.message, options), { name: data.name }, data.code !== undefined && { code: data.code })
  if (data.stack !== undefined) error.stack = data.stack
  return error
}

function isCode(code: string | undefined): code is Code {
  return code !== undefined && known.has(code)
}

function cut(text: string, length: number): string {
  return `${storable(text, length)}${text.length > length ? '…' : ''}`
}

function plainDetails(details: unknown): Record<string, unknown> | undefined {
  if (typeof details !== 'object' || details === null || Object.keys(details).length === 0) return undefined
  try {
    const text = JSON.stringify(details)
    return text.length > limits.details ? undefined : JSON.parse(text)
  } catch {
    // Details are an extra; an error that carries what is not JSON is still told.
    return undefined
  }
}
