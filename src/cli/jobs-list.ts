import { troubles } from '../core/troubles.ts'
import type { Command, ExitCode, Input } from './command.ts'
import { numberFlag, textFlag, wordFlag } from './flags.ts'
import { findTakers, type Takers, waitsFor } from './job-waits.ts'
import { type Job, jobAsJson, jobStatuses } from './jobs.ts'
import { formatTable, printJson } from './print.ts'
import { storeSettings, teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'
import { since } from './times.ts'

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
    const { folder } = await storeSettings(input)
    const { jobs, takers } = await withStore(input, async (store) => {
      const found = await store.read('agent_jobs', filter, { order: [{ by: 'created_at', descending: true }], limit })
      return { jobs: found, takers: options.json ? undefined : await findTakers(store, folder, found) }
    })
    if (options.json) printJson({ jobs: jobs.map(jobAsJson) })
    else console.log(jobs.length === 0 ? none(type) : tableOf(jobs, takers))
    return 0
  },
}

function none(type: string | undefined): string {
  return type === 'execute_trade' ? `No trade jobs available.\nhint: ${troubles['No trade jobs available']}` : 'There are no such jobs.'
}

function tableOf(jobs: readonly Job[], takers: Takers | undefined): string {
  const now = Date.now()
  const rows = jobs.map((job) => {
    const { id, job_type, status, priority, attempt, max_attempts, assigned_to, target_agent, created_at } = job
    const tries = `${attempt} of ${max_attempts}`
    return [
      id,
      job_type,
      status,
      priority,
      tries,
      assigned_to ?? target_agent,
      since(created_at, now),
      waitsFor(job, takers, now),
      job.error_message,
    ]
  })
  return formatTable(['id', 'type', 'status', 'priority', 'attempt', 'agent', 'created', 'waits for', 'error'], rows)
}
