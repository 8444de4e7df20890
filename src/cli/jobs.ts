import type * as z from 'zod'
import { mostRows } from '../core/most-rows.ts'
import type { relations } from '../store/functions/relations.ts'
import type { Store } from '../store/store.ts'
import type { ExitCode, Input, Option } from './command.ts'
import { yesOption } from './confirm.ts'
import { textFlag } from './flags.ts'
import { findByBeginning, requireBeginning } from './id-beginning.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'
import { isMeant, type Kind, type Outcome, report, requireChoice } from './treat.ts'

export type Job = z.output<(typeof relations)['agent_jobs']>
export const jobStatuses = ['pending', 'assigned', 'in_progress', 'completed', 'failed', 'cancelled'] as const
export type JobStatus = (typeof jobStatuses)[number]

type Verdict = { readonly job_id: string; readonly verdict: string }

/** Of so many people are told what they are. */
const explained = 100

/** The one job that the command line names by its id or the beginning of it; undefined when there is none. */
export function findJob(store: Store, word: string): Promise<Job | undefined> {
  return findByBeginning(word, (id) => store.read('agent_jobs', { id }, { limit: 2 }))
}

/** A job by its whole id; undefined when there is none. */
export async function readJob(store: Store, id: string): Promise<Job | undefined> {
  return (await store.read('agent_jobs', { id }))[0]
}

/** A job for programs. */
export function jobAsJson(job: Job) {
  const { id, job_type: type, status, priority, attempt, max_attempts: maxAttempts, payload, result, history } = job
  const { created_by: createdBy, assigned_to: agent, target_agent: target, dedupe_key: dedupeKey } = job
  const { error_message: error, dead_reason: deadReason } = job
  const { created_at: createdAt, run_at: dueAt, assigned_at: assignedAt, completed_at: endedAt } = job
  const who = { createdBy, agent, target, dedupeKey }
  const times = { createdAt, dueAt, assignedAt, endedAt }
  return { id, type, status, priority, attempt, maxAttempts, ...who, payload, result, error, deadReason, history, ...times }
}

export interface Treatment {
  readonly command: string
  /** As in "Retry 3 jobs?" and "3 jobs will be tried again". */
  readonly verb: string
  readonly done: string
  /** What --all means. */
  readonly statuses: readonly JobStatus[]
  readonly treat: (store: Store, ids: readonly string[]) => Promise<readonly Verdict[]>
  readonly note: (done: readonly Outcome[]) => string | undefined
}

/** The options of a command that does something to jobs. */
export function chooseOptions(all: string) {
  return {
    all: { type: 'boolean', help: `all that are ${all}, at most ${mostRows}; asks first` },
    type: { type: 'string', value: '<type>', help: 'with --all: only those of this type' },
    ...yesOption,
    ...teamOptions,
  } as const satisfies Record<string, Option>
}

/** Does something to the jobs that the command line names, or to all that it makes sense for. */
export async function treatJobs(input: Input, treatment: Treatment): Promise<ExitCode> {
  const { options, words } = input
  for (const word of words) requireBeginning(word) // before a store is opened, which takes its time
  requireChoice(input, words, treatment.command, 'troupe jobs list')
  return await withStore(input, async (store) => {
    const named = await Promise.all(words.map(async (word) => ({ word, id: await idOf(store, word) })))
    const missing = named.flatMap(({ word, id }) => (id ? [] : [{ id: word, verdict: 'not_found' }]))
    const given = [...new Set(named.flatMap(({ id }) => id ?? []))]
    const ids = options.all ? await idsIn(store, treatment.statuses, textFlag(options, 'type')) : given
    if (!(await isMeant(input, treatment, kind, ids.length))) return 1
    const verdicts = ids.length > 0 ? await treatment.treat(store, ids) : []
    return report(input, treatment, kind, [...(await withStatus(store, verdicts)), ...missing])
  })
}

/** Says of those that could not be treated what they are. */
async function withStatus(store: Store, verdicts: readonly Verdict[]): Promise<Outcome[]> {
  const stale = verdicts.filter(({ verdict }) => verdict === 'stale').map(({ job_id }) => job_id)
  const jobs = stale.length > 0 ? await store.read('agent_jobs', { id: { in: stale.slice(0, explained) } }) : []
  const statuses = new Map(jobs.map(({ id, status }) => [id, status]))
  return verdicts.map(({ job_id: id, verdict }) => {
    const status = statuses.get(id)
    return { id, verdict, ...(status !== undefined && { status, why: `it is ${status.replace('_', ' ')}` }) }
  })
}

/** The id that a word is, or begins; undefined when none begins so. Whether there is a whole one, what is done with it tells. */
async function idOf(store: Store, word: string): Promise<string | undefined> {
  const { gte, lte } = requireBeginning(word)
  return gte === lte ? gte : (await findJob(store, word))?.id
}

async function idsIn(store: Store, statuses: readonly JobStatus[], type: string | undefined): Promise<string[]> {
  const filter = { status: { in: statuses }, ...(type !== undefined && { job_type: type }) }
  const jobs = await store.read('agent_jobs', filter, { order: [{ by: 'created_at' }], limit: mostRows })
  return jobs.map(({ id }) => id)
}

const kind: Kind = {
  one: 'job',
  many: 'jobs',
  none: 'There are no such jobs.',
  reasons: {
    not_found: 'no such job',
    stale: 'its status does not allow that',
    duplicate: 'another job with its dedupe key has not ended',
  },
}
