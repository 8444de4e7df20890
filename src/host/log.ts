import pino from 'pino'
import type { Event } from '../core/events.ts'
import { logLevelOf } from '../sources/environment.ts'
import { eventLine, type Level } from './event-lines.ts'
import { createRedactor } from './redact.ts'

/** The log of one process: one line for each event, each line of an actor, and what the host itself has to say. */
export interface Log {
  event(event: Event): void
  /** Takes an actor's NDJSON, one or more whole lines, in pino's format; what is below the level is dropped. */
  lines(ndjson: string): void
  write(level: Level, message: string, fields?: Readonly<Record<string, unknown>>): void
  /** Takes a secret that is not in the environment out of everything that follows. */
  hide(secret: string): void
  /** Writes out what is held, at once; for the moment before the process ends. */
  flush(): void
}

export interface LogOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The least that is logged when LOG_LEVEL does not say it; info, when absent. */
  readonly level?: Level
  /** Pretty lines for people, else NDJSON. */
  readonly isPretty?: boolean
  readonly hasColors?: boolean
  /** Where to; standard output, when absent. */
  readonly write?: (text: string) => void
}

/** Bytes that may wait for a reader that is slow; what comes then is dropped, and counted. */
const heldAtMost = 16 * 2 ** 20

/** Opens the log: pretty on a terminal, NDJSON elsewhere, colours unless NO_COLOR forbids them. CONFIG_INVALID for a LOG_LEVEL that is none. */
export async function openLog(options: LogOptions): Promise<Log> {
  const { env } = options
  const { stdout } = process
  const isPretty = options.isPretty ?? stdout.isTTY === true
  const hasColors = options.hasColors ?? (stdout.isTTY === true && stdout.hasColors(env))
  const sink = options.write ? { write: options.write, flush() {} } : openStandardOutput()
  const format = isPretty ? await prettifier(hasColors) : (text: string) => text
  const hidden: string[] = []
  let redact = createRedactor(env)

  const out = { write: (text: string) => sink.write(format(redact(text))) }
  const logger = pino({ base: null, level: logLevelOf(env, options.level) }, out)
  const least = logger.levelVal
  const isWanted = (line: string) => line !== '' && Number(/^\{"level":(\d+)/.exec(line)?.[1] ?? least) >= least
  return {
    event(event) {
      const { level, fields, msg } = eventLine(event)
      logger[level](fields, msg)
    },
    lines(ndjson) {
      for (const line of ndjson.split('\n')) if (isWanted(line)) out.write(`${actorLine(line)}\n`)
    },
    write: (level, message, fields = {}) => logger[level](fields, message),
    hide(secret) {
      hidden.push(secret)
      redact = createRedactor(env, hidden)
    },
    flush: sink.flush,
  }
}

const head = /^(\{"level":\d+,"time":\d+),"actor":/

/** An actor's line as it came, with the host's name for whose it is; what is no line of ours becomes the message of one. */
function actorLine(line: string): string {
  if (line.startsWith('{"level":') && line.endsWith('}')) return line.replace(head, '$1,"agent":')
  return JSON.stringify({ level: pino.levels.values.warn, time: Date.now(), msg: line })
}

async function prettifier(colorize: boolean): Promise<(text: string) => string> {
  const { prettyFactory } = (await import('pino-pretty')).default
  return prettyFactory({
    colorize,
    ignore: 'event,team,incarnation,stop,start,exit,exits,until,intended,detail,message',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  })
}

/** Pino flushes it when the process ends. */
function openStandardOutput() {
  const destination = pino.destination({ fd: process.stdout.fd, sync: false, maxLength: heldAtMost })
  let dropped = 0
  destination.on('drop', () => {
    dropped += 1
  })
  destination.on('drain', () => {
    if (dropped === 0) return
    const line = { level: pino.levels.values.warn, time: Date.now(), msg: `${dropped} lines were dropped: the log is read too slowly` }
    dropped = 0
    destination.write(`${JSON.stringify(line)}\n`)
  })
  return {
    write: (text: string) => void destination.write(text),
    flush() {
      try {
        destination.flushSync()
      } catch {
        // Whoever read it has gone.
      }
    },
  }
}
