import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Result } from '../ops/control-api.ts'
import { clockTime, moment, shortly } from './times.ts'

type Why = Result<'why'>
type Exit = NonNullable<Why['exit']>
type ErrorData = NonNullable<Exit['error']>
type Line = readonly [label: string, text: string]

/** Everything there is to say about an agent, for people: labels and texts, of which some have more than one line. */
export function whyLines(why: Why, pid: number, now: number): Line[] {
  const { id, team, type, says, mailbox, exits, exit, thread } = why
  const held = thread?.heap && `${megabytes(thread.heap.total + thread.heap.external)}, ${megabytes(thread.heap.used)} of it in use`
  return [
    ['agent', `${id}, of type ${type}, team ${team}, process ${pid}`],
    ['status', statusText(why, now)],
    ...line('says', says),
    ...line('exits', exits === 0 ? undefined : `${exits} in a row, without a healthy period between them`),
    ...(exit ? exitLines(exit, now) : []),
    ...line('thread', thread && `up for ${shortly(thread.upFor)}, ${thread.turns} turns${held ? `, ${held}` : ''}`),
    ['mailbox', `${mailbox} in memory`],
    ['version', versionText(why)],
    ...line('handles', handled(why)),
  ]
}

function statusText(why: Why, now: number): string {
  const { status, since, incarnation } = why
  const reason = reasonText(why, now)
  const time = since === undefined ? '' : ` for ${shortly(now - since)}, since ${clockTime(since)}`
  return `${status}${time} (incarnation ${incarnation})${reason ? `\n${reason}` : ''}`
}

/** Why it is not running, and what ends that. */
function reasonText({ id, status, until, standby, holder, instead, refusal, team, teamStatus }: Why, now: number): string | undefined {
  const next = typeof until === 'number' ? moment(until, now) : undefined
  switch (status) {
    case 'waiting':
      return `it is started again ${next ?? 'soon'}`
    case 'quarantined':
      return `it is tried again ${next ?? 'with a new version only'}, or by: troupe restart ${id}`
    case 'paused':
      return `somebody paused it; it goes on by: troupe resume ${id}`
    case 'standby':
      // What is known of its holder may be old: it was last asked for before this process had another one.
      if (instead !== undefined)
        return `this process runs ${instead}, and one instance is all it takes with AGENT_MODE; another may run this one`
      if (refusal !== undefined) return `its lease cannot be asked for, which is tried every few seconds: ${refusal}`
      return standby === 'older'
        ? 'it was last run with a newer config: this process takes it when its own is newer (a touched config file is)'
        : `it runs in another process: ${holder ?? 'which one is not known yet'}`
    case 'stopped':
      if (refusal !== undefined) return `the store does not take its lease, which is tried every few seconds: ${refusal}`
      return teamStatus === 'quarantined'
        ? `team ${team} gave up, as its agents ended more often than its budget allows; all of it is tried again by: troupe restart ${id}`
        : `it ended for good; it is started again by: troupe restart ${id}`
    default:
      return undefined
  }
}

function exitLines(exit: Exit, now: number): Line[] {
  const { at, after, incarnation, version, detail, error, turns, heap } = exit
  return [
    ['last exit', `${exit.exit}: ${detail}\n${moment(at, now)}, after ${shortly(after)} (incarnation ${incarnation}, version ${version})`],
    ...line('error', error && errorText(error)),
    ...line(
      'turns',
      turns.length === 0
        ? undefined
        : turns.map((turn) => `${turn.source} ${turn.type}  ${turn.id}  ${outcomes[turn.outcome] ?? turn.outcome}`).join('\n'),
    ),
    ...line('held', heap && `${megabytes(heap.total + heap.external)}, ${megabytes(heap.external)} of it outside the heap`),
  ]
}

const outcomes: Readonly<Record<string, string>> = { running: 'it died in this one', threw: 'threw', done: 'done' }

/** Troupe's own code, as it stands in stacks. */
const ownCode = pathToFileURL(join(import.meta.dirname, '..')).href
/** The script that a thread begins with is made of it. */
const ownScript = /\/code\/shell-[0-9a-f]{16}\.cjs:/

/** The stacks of what was thrown and of what caused it, without Troupe's own part in them. Copies of code go by the names of the originals. */
function errorText({ name, message, stack, cause }: ErrorData): string {
  const lines = (stack ?? `${name}: ${message}`).split('\n').filter((text) => !text.includes(ownCode) && !ownScript.test(text))
  const own = lines.join('\n').replaceAll(/(?:file:\/\/)?[^\s()]*\/code\/[0-9a-f]{16}\//g, '')
  return cause ? `${own}\ncaused by ${errorText(cause)}` : own
}

function versionText({ id, version, wanted, lastGood }: Why): string {
  if (version !== wanted) return `${version}, the last good one, instead of ${wanted}; that one starts by: troupe restart ${id}`
  return lastGood === undefined ? version : `${version}; back to ${lastGood} by: troupe restart ${id} --last-good`
}

function handled({ manifest }: Why): string | undefined {
  if (!manifest) return undefined
  const [messages, jobs] = [Object.keys(manifest.messages), Object.keys(manifest.jobs)]
  const parts = [
    ...(messages.length > 0 ? [`messages ${messages.join(', ')}`] : []),
    ...(jobs.length > 0 ? [`jobs ${jobs.join(', ')}`] : []),
  ]
  return parts.join('; ') || 'nothing'
}

function line(label: string, text: string | undefined): Line[] {
  return text === undefined ? [] : [[label, text]]
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`
}
