import * as z from 'zod'
import { partsOf, readableJson } from './job-result.ts'
import type { Job } from './jobs.ts'
import { plain, plainLines, styled } from './print.ts'
import { moment, shortly, since } from './times.ts'

const labelWidth = 12
/** Characters of one text in a payload, where whole files may stand, and in a result. */
const longest = { payload: 300, result: 2_000 } as const

const history = z.array(
  z.object({ attempt: z.int(), outcome: z.string(), agent: z.string().optional(), error: z.string().optional(), at: z.string() }),
)
const outcomes: Readonly<Record<string, string>> = {
  failed: 'failed',
  lease_expired: 'was lost with its process',
  redriven: 'was the last before a new set of attempts',
}
const reasons: Readonly<Record<string, string>> = {
  attempts_exhausted: 'none of its attempts worked',
  fatal: 'its agent says that no other attempt would do better',
  lease_expired: 'each time its process ended before it was done',
}

/** Everything there is to say about a job, for people; `waits`: what a pending one waits for. */
export function describeJob(job: Job, waits: string | undefined, now: number): string {
  const { id, job_type, priority, attempt, max_attempts, created_by, created_at, target_agent, dedupe_key, result } = job
  const { used } = partsOf(result)
  const lines: readonly (readonly [string, string | null | undefined])[] = [
    ['id', id],
    ['status', statusText(job, now)],
    ['waits for', waits],
    ['made by', `${created_by ?? 'nobody known'}, ${moment(created_at, now)}`],
    ['target', target_agent],
    ['priority', String(priority)],
    ['attempts', `${attempt} of ${max_attempts}`],
    ['key', dedupe_key],
    ...failures(job, now),
    ...(used ?? []).map((one) => ['model', usageText(one)] as const),
  ]
  const shown = lines.flatMap(([label, text]) => (text === null || text === undefined ? [] : [lineOf(label, text)]))
  return [styled('bold', plain(job_type)), ...shown, ...payloadLines(job), ...resultLines(result)].join('\n')
}

/** What became of it, or who has it. */
export function statusText(job: Job, now: number): string {
  const { id, status, assigned_to, assigned_at, lease_expires_at: end, completed_at: ended, dead_reason } = job
  const [who, began, over] = [assigned_to ?? 'nobody known', Date.parse(assigned_at ?? ''), Date.parse(ended ?? '')]
  const when = moment(ended ?? 'at a time that nobody knows', now)
  switch (status) {
    case 'assigned':
    case 'in_progress': {
      const isLost = end !== null && Date.parse(end) <= now
      const lost = isLost ? `; it has not been heard of since ${since(end, now)}, and the next that looks for work takes the job back` : ''
      return `${who} has it${Number.isNaN(began) ? '' : ` for ${shortly(now - began)}`}${lost}`
    }
    case 'completed':
      return `completed by ${who} ${when}${Number.isNaN(over - began) ? '' : `, in ${shortly(Math.max(0, over - began))}`}`
    case 'failed':
      return `failed ${when}: ${reasons[dead_reason ?? ''] ?? dead_reason}\nonce more by: troupe jobs retry ${id}`
    case 'cancelled':
      return `cancelled ${when}\nback by: troupe jobs retry ${id}`
    default:
      return status
  }
}

/** The attempts that failed, the last ten of them, and the latest error where it is none of theirs. */
function failures({ history: given, error_message: error }: Job, now: number): (readonly [string, string])[] {
  const { data: past = [] } = history.safeParse(given)
  const isLast = (said: string | undefined) => said !== undefined && error?.startsWith(said) === true
  const lines = past.map(({ attempt, outcome, agent, error: said, at }, place) => {
    // The history keeps the beginning of an error only.
    const full = place === past.length - 1 && isLast(said) ? error : said
    const who = agent === undefined ? '' : `, ${agent}`
    return ['attempt', `${attempt} ${outcomes[outcome] ?? outcome}${who}, ${since(at, now)}${full ? `: ${full}` : ''}`] as const
  })
  return error === null || isLast(past.at(-1)?.error) ? lines : [...lines, ['error', error] as const]
}

function usageText({ model, inputTokens, outputTokens, usd }: NonNullable<ReturnType<typeof partsOf>['used']>[number]): string {
  return `${model}: ${inputTokens} tokens in, ${outputTokens} out${usd === null ? '' : `, ${Number(usd.toFixed(6))} USD`}`
}

function payloadLines({ payload }: Job): string[] {
  if (typeof payload === 'object' && payload !== null && Object.keys(payload).length === 0) return []
  return ['', styled('bold', 'Payload'), readableJson(payload, longest.payload)]
}

function resultLines(result: unknown): string[] {
  const { text, rest } = partsOf(result)
  const parts = [
    ...(text === undefined ? [] : [plainLines(text)]),
    ...(rest === undefined || rest === null ? [] : [readableJson(rest, longest.result)]),
  ]
  return parts.length === 0 ? [] : ['', styled('bold', 'Result'), parts.join('\n\n')]
}

function lineOf(label: string, text: string): string {
  return `${styled('dim', label.padEnd(labelWidth))}${plainLines(text).replaceAll('\n', `\n${' '.repeat(labelWidth)}`)}`
}
