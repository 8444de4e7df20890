import type * as z from 'zod'
import { troubles } from '../core/troubles.ts'
import type { relations } from '../store/functions/relations.ts'
import type { Command, ExitCode, Input } from './command.ts'
import { numberFlag, textFlag, wordFlag } from './flags.ts'
import { jobStatuses } from './jobs.ts'
import { formatTable, printJson } from './print.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'
import { since } from './times.ts'

type Job = z.output<(typeof relations)['agent_jobs']>

const usual = 50

/** Lists jobs, the latest first. */
export const jobsList: Command = {
  summary: 'list jobs, the latest first',
  usage: '[--status <word>] [--type <type>] [--limit <number>] [--json]',
  examples: ['troupe jobs list', 'troupe jobs list --status failed --type execute_trade', "troupe jobs list --json | jq '.jobs | length'"],
  options: {
    status: { type: 'string', value: '<word>', help: `only those that are ${jobStatuses.join(', ')}` },
    type: { type: 'string', value: '<type>', help: 'only those of this type' },
    limit: { type: 'string', value: '<number>', help: `at most so many (default ${usual})` },
    ...teamOptions,
  },
  async run(input: Input): Promise<ExitCode> {
    const { options } = input
    const [status, type] = [wordFlag(options, 'status', jobStatuses), textFlag(options, 'type')]
    const limit = numberFlag(options, 'limit', { least: 1, most: 1_000 }) ?? usual
    const filter = { ...(status && { status }), ...(type !== undefined && { job_type: type }) }
    const jobs = await withStore(input, (store) =>
      store.read('agent_jobs', filter, { order: [{ by: 'created_at', descending: true }], limit }),
    )
    if (options.json) printJson({ jobs: jobs.map(asJson) })
    else console.log(jobs.length === 0 ? none(type) : tableOf(jobs))
    return 0
  },
}

function none(type: string | undefined): string {
  return type === 'execute_trade' ? `No trade jobs available.\nhint: ${troubles['No trade jobs available']}` : 'There are no such jobs.'
}

function asJson(job: Job) {
  const { id, job_type: type, status, priority, attempt, max_attempts: maxAttempts, payload, result } = job
  const { assigned_to: agent, target_agent: target, error_message: error, dead_reason: deadReason } = job
  const { created_at: createdAt, run_at: dueAt, completed_at: endedAt } = job
  const who = { agent, target }
  return { id, type, status, priority, attempt, maxAttempts, ...who, payload, result, error, deadReason, createdAt, dueAt, endedAt }
}

function tableOf(jobs: readonly Job[]): string {
  const now = Date.now()
  const rows = jobs.map((job) => {
    const { id, job_type, status, priority, attempt, max_attempts, assigned_to, target_agent, created_at, run_at } = job
    const due = status === 'pending' && Date.parse(run_at) > now ? since(run_at, now) : null
    const tries = `${attempt} of ${max_attempts}`
    return [id, job_type, status, priority, tries, assigned_to ?? target_agent, since(created_at, now), due, job.error_message]
  })
  return formatTable(['id', 'type', 'status', 'priority', 'attempt', 'agent', 'created', 'due', 'error'], rows)
}
