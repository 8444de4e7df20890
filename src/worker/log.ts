import { inspect } from 'node:util'
import type { Log } from '../actor.ts'

/** Pino's numbers. */
const levels = { debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const
export type Level = keyof typeof levels

const messageLimit = 16_000
const reserved: ReadonlySet<string> = new Set(['level', 'time', 'actor', 'msg'])

/** Writes one line of NDJSON in pino's format. */
export function logLine(level: Level, actor: string | null, message: string, fields?: Readonly<Record<string, unknown>>): string {
  const head = `{"level":${levels[level]},"time":${Date.now()}${actor === null ? '' : `,"actor":${JSON.stringify(actor)}`}`
  const msg = message.length > messageLimit ? `${message.slice(0, messageLimit)}…` : message
  return `${head}${fields ? fieldsText(fields) : ''},"msg":${JSON.stringify(msg)}}`
}

/** Makes the log of one actor. */
export function createLog(actor: string, write: (line: string) => void): Log {
  const at = (level: Level) => (message: string, fields?: Readonly<Record<string, unknown>>) =>
    write(logLine(level, actor, String(message), fields))
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function fieldsText(fields: Readonly<Record<string, unknown>>): string {
  const own = Object.entries(fields).filter(([name, value]) => !reserved.has(name) && value !== undefined)
  return own.map(([name, value]) => `,${JSON.stringify(name)}:${fieldText(value)}`).join('')
}

/** A log takes whatever it is given: a value that is not JSON is printed. */
function fieldText(value: unknown): string {
  try {
    const text = JSON.stringify(value instanceof Error ? errorFields(value) : value)
    return text === undefined || text.length > messageLimit ? JSON.stringify(inspect(value).slice(0, messageLimit)) : text
  } catch {
    return JSON.stringify(inspect(value).slice(0, messageLimit))
  }
}

function errorFields(error: Error) {
  return { type: error.name, message: error.message, stack: error.stack, code: (error as { code?: unknown }).code }
}
