import * as z from 'zod'
import { ActorError } from '../core/errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

const defaultPort = 8_080
const defaultReload = 300_000
const units = { '': 1_000, s: 1_000, m: 60_000, h: 3_600_000 } as const
const shortestInterval = units.s
/** What a timer can wait for is a little more. */
const longestInterval = 24 * units.h

// People come from programs that take plain seconds; a config file's bare numbers are ms.
const interval = z
  .string()
  .regex(/^\d+(\.\d+)?\s*[smh]?$/)
  .transform((text) => Number.parseFloat(text) * units[text.replace(/[^smh]/g, '') as keyof typeof units])
  .refine((ms) => ms >= shortestInterval && ms <= longestInterval)

const port = z
  .string()
  .regex(/^\d+$/)
  .transform(Number)
  .refine((number) => number <= 65_535)

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
type LogLevel = (typeof logLevels)[number]

/** Where health is served. */
export interface Port {
  readonly port: number
  /** Somebody chose it: whoever asks there would find nobody, were it another. */
  readonly isChosen: boolean
}

/** The port of PORT; CONFIG_INVALID when it is none. */
export function portOf(env: Environment): Port {
  const chosen = read(env, 'PORT', port, 'a port from 0 (any that is free) to 65535')
  return { port: chosen ?? defaultPort, isChosen: chosen !== undefined }
}

/** MONGODB_URI, the address of the MongoDB whose documents are read; undefined when there is none. */
export function mongodbUriOf(env: Environment): string | undefined {
  return env.MONGODB_URI?.trim() || undefined
}

/** Ms between two reloads, of AGENT_RELOAD_INTERVAL; CONFIG_INVALID when it is no interval. */
export function reloadIntervalOf(env: Environment): number {
  return read(env, 'AGENT_RELOAD_INTERVAL', interval, 'seconds, or an interval like 300s, 5m or 1h, from 1s to 24h') ?? defaultReload
}

/** The least that is logged, of LOG_LEVEL, else `usual`; CONFIG_INVALID when it is no level. */
export function logLevelOf(env: Environment, usual: LogLevel = 'info'): LogLevel {
  return read(env, 'LOG_LEVEL', z.enum(logLevels), 'trace, debug, info, warn, error or fatal') ?? usual
}

/** Compose files pass what is unset as ''. */
function read<Value>(env: Environment, name: string, schema: z.ZodType<Value>, expected: string): Value | undefined {
  const text = env[name]?.trim()
  if (!text) return undefined
  const parsed = schema.safeParse(text)
  if (parsed.success) return parsed.data
  throw new ActorError('CONFIG_INVALID', `${name}: found ${JSON.stringify(text.slice(0, 80))}, expected ${expected}`)
}
