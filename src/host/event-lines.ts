import type { Event, Events } from '../core/events.ts'
import { explained, storeTrouble } from '../core/troubles.ts'

export type Level = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** What is not `info`; every turn would be too much to read, and to write. */
const levels: Partial<Record<keyof Events, Level>> = {
  'agent:blocked': 'warn',
  'child:delayed': 'warn',
  'child:quarantined': 'error',
  'team:gaveUp': 'fatal',
  'plan:refused': 'error',
  'config:deferred': 'warn',
  'document:skipped': 'warn',
  'source:failed': 'error',
  'source:cut': 'warn',
  'thread:zombie': 'error',
  'task:killed': 'warn',
  'task:stuck': 'error',
  'standby:lost': 'warn',
  'turn:committed': 'debug',
  'turn:failed': 'warn',
  'turn:rejected': 'warn',
  'message:dead': 'error',
  'job:claimed': 'debug',
  'store:failed': 'error',
  'store:unusable': 'error',
  'http:denied': 'warn',
  'http:traffic': 'debug',
  'lease:doubted': 'warn',
  'report:refused': 'error',
  'claim:refused': 'error',
  'lease:lost': 'warn',
}

/** An event as a log line has it: its level, the words for people, and the fields for programs, agent and team first. */
export function eventLine(event: Event): { level: Level; fields: Readonly<Record<string, unknown>>; msg: string } {
  const { name, ...rest } = event
  const { team, id, incarnation, ...others } = rest as Readonly<Record<string, unknown>>
  const fields = { event: name, agent: id, team, incarnation, ...others }
  return { level: levelOf(event), fields: withoutEmpty(fields), msg: words(event) }
}

function levelOf(event: Event): Level {
  if (event.name === 'lease:refused' && event.why === 'invalid') return 'error'
  if (event.name === 'child:exited' && !event.intended && event.exit !== 'normal') return 'error'
  // A reload that found nothing new.
  if (event.name === 'plan:applied' && event.stop.length + event.start.length === 0) return 'debug'
  // What the supervisor of all teams has to say, the teams say better.
  return levels[event.name] ?? ('team' in event && event.team === 'root' ? 'debug' : 'info')
}

/** One short sentence; `noun:pastVerb` reads well enough where there is none. */
function words(event: Event): string {
  switch (event.name) {
    case 'team:started':
      return `team ${event.team} is up`
    case 'team:stopped':
      return `team ${event.team} has ended: ${event.exit}`
    case 'child:started':
      return `${event.id} is up`
    case 'child:exited':
      return `${event.id} ended: ${event.exit}${event.detail ? `: ${event.detail}` : ''}`
    case 'child:delayed':
      return `${event.id} starts again at ${timeOf(event.until)}, after ${event.exits} exits in a row`
    case 'child:quarantined':
      return `${event.id} is in quarantine after ${event.exits} exits in a row, ${event.until === null ? 'until a command or a new version' : `until ${timeOf(event.until)}`}`
    case 'child:recovered':
      return `${event.id} is healthy again`
    case 'team:gaveUp':
      return `team ${event.team} gave up: ${event.id} ended once more than its budget allows (${event.exit})`
    case 'plan:applied':
      return `plan of ${event.team}: stop ${listed(event.stop)}, start ${listed(event.start)}`
    case 'plan:refused':
      return `the change is refused, the team stays as it is: ${event.message}`
    case 'config:deferred':
      return `${event.sections.join(', ')}: take effect at the next start of the process`
    case 'document:skipped':
      return `skipped: ${event.reason}${event.runsOn ? `; ${event.id} runs on as it was` : ''}`
    case 'source:failed':
      return `${event.error}; what runs stays as it is, and the next reload tries again`
    case 'source:back':
      return 'MongoDB can be read again'
    case 'source:cut':
      return `MongoDB has more than ${event.limit} documents of managed agents: those behind them are not read`
    case 'thread:zombie':
      return `${event.id} was ended, but its thread cannot be: ${event.id} goes on in another one; replace this process (${counted(event.zombies)})`
    case 'thread:reaped':
      return `a thread that could not be ended has ended after all (${counted(event.zombies)})`
    case 'task:killed':
      return `${event.error} (asked for by ${event.id})`
    case 'task:stuck':
      return `the task ${event.task} of ${event.id} was ended, but its thread cannot be: replace this process (${counted(event.zombies)})`
    case 'llm:used':
      return `${event.id} used ${event.inputTokens} + ${event.outputTokens} tokens of ${event.model} for ${event.source} ${event.type}${event.usd === null ? '' : `, $${Number(event.usd.toFixed(6))}`}`
    case 'standby:lost':
      return `a thread that stood by has ended${event.error === undefined ? '' : `: ${event.error}`}`
    case 'turn:failed':
      return `${event.id} failed at ${event.source} ${event.type} (attempt ${event.attempt}): ${event.error}`
    case 'agent:blocked':
      return `${event.id} is blocked, and tries again at ${timeOf(event.until)}: ${event.reason}`
    case 'agent:unblocked':
      return `${event.id} works again`
    case 'turn:rejected':
      return `${event.id} starts again from what is saved: ${event.reason}`
    case 'message:dead':
      return `${event.source} ${event.type} of ${event.id} is dead: ${event.reason}${event.error === undefined ? '' : `: ${event.error}`}`
    case 'store:failed':
      return `the store does not answer, everything waits: ${event.error}`
    case 'store:back':
      return `the store is back after ${event.after} ms`
    case 'store:unusable':
      return unusable(event)
    case 'store:usable':
      return 'the store can be used'
    case 'report:refused':
      return `the store does not take what the agents report of themselves, so that their leases are renewed without it: ${event.error}`
    case 'claim:refused':
      return `${event.id} gets no jobs, because the store does not take its claim: ${event.error}`
    case 'lease:refused':
      return leaseRefused(event)
    case 'lease:doubted':
      return `the leases have not been renewed for ${event.silent} ms, and another process may have the agents soon: nothing new begins until the store answers`
    case 'lease:confirmed':
      return `the leases stand, the agents go on (the store took ${event.silent} ms)`
    case 'lease:lost':
      return `another process has taken ${event.id} over`
    default:
      return [event.name.replace(':', ' '), 'id' in event ? event.id : ''].join(' ').trim()
  }
}

function leaseRefused({ id, why, holder, error }: Extract<Event, { name: 'lease:refused' }>): string {
  switch (why) {
    case 'busy':
      return `${id} runs in another process${holder === undefined ? '' : ` (${holder})`}: this one stands by`
    case 'older':
      return `${id} was last run with a newer config: this process stands by until its own is newer (a touched config file is)`
    case 'invalid':
      return `${id} cannot run, because the store does not take its lease: ${error}`
  }
}

function unusable({ kind, status, reason }: Extract<Event, { name: 'store:unusable' }>): string {
  const { message, hint } = explained(storeTrouble(kind, status), reason)
  return `no agent can start, the store is looked at again every few seconds. ${message}${hint === undefined ? '' : `. ${hint}`}`
}

function listed(ids: readonly string[]): string {
  return ids.length === 0 ? 'nothing' : ids.join(', ')
}

function counted(zombies: number): string {
  return zombies === 1 ? '1 such thread' : `${zombies} such threads`
}

function timeOf(at: number): string {
  return new Date(at).toISOString()
}

function withoutEmpty(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
