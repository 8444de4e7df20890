import type { Store } from '../store/store.ts'
import { type ExitCode, type Input, type Option, UsageError } from './command.ts'
import { isConfirmed, yesOption } from './confirm.ts'
import { idsOf, textFlag } from './flags.ts'
import { printJson } from './print.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'

export const jobStatuses = ['pending', 'assigned', 'in_progress', 'completed', 'failed', 'cancelled'] as const
export type JobStatus = (typeof jobStatuses)[number]

type Verdict = { readonly job_id: string; readonly verdict: string }

const most = 1_000

export interface Treatment {
  readonly command: string
  /** As in "Retry 3 jobs?" and "3 jobs will be tried again". */
  readonly verb: string
  readonly done: string
  /** What --all means. */
  readonly statuses: readonly JobStatus[]
  readonly treat: (store: Store, ids: readonly string[]) => Promise<readonly Verdict[]>
  readonly note: (done: readonly Verdict[]) => string | undefined
}

/** The options of a command that does something to jobs. */
export function chooseOptions(all: string) {
  return {
    all: { type: 'boolean', help: `all that are ${all}, at most ${most}; asks first` },
    type: { type: 'string', value: '<type>', help: 'with --all: only those of this type' },
    ...yesOption,
    ...teamOptions,
  } as const satisfies Record<string, Option>
}

/** Does something to the jobs that the command line names, or to all that it makes sense for. */
export async function treatJobs(input: Input, treatment: Treatment): Promise<ExitCode> {
  const { options, words } = input
  const given = idsOf(words)
  if (options.all ? given.length > 0 : given.length === 0) {
    throw new UsageError(`${treatment.command}: expected ids (troupe jobs list shows them) or --all, not both`)
  }
  return await withStore(input, async (store) => {
    const ids = options.all ? await idsIn(store, treatment.statuses, textFlag(options, 'type')) : given
    if (options.all && ids.length > 0 && !(await isConfirmed(input, treatment.command, `${treatment.verb} ${counted(ids)}?`))) {
      console.error('Nothing was done.')
      return 1
    }
    return report(input, treatment, ids.length > 0 ? await treatment.treat(store, ids) : [])
  })
}

async function idsIn(store: Store, statuses: readonly JobStatus[], type: string | undefined): Promise<string[]> {
  const filter = { status: { in: statuses }, ...(type !== undefined && { job_type: type }) }
  const jobs = await store.read('agent_jobs', filter, { order: [{ by: 'created_at' }], limit: most })
  return jobs.map(({ id }) => id)
}

function report({ options }: Input, { done: past, note }: Treatment, verdicts: readonly Verdict[]): ExitCode {
  const done = verdicts.filter(({ verdict }) => verdict === 'ok' || verdict === 'repeat')
  const failed = verdicts.filter((one) => !done.includes(one))
  if (options.json) printJson({ results: verdicts.map(({ job_id: id, verdict }) => ({ id, verdict })) })
  else {
    const text = note(done)
    console.log(verdicts.length === 0 ? 'There are no such jobs.' : `${counted(done)} ${past}.`)
    if (text && done.length > 0) console.log(text)
    for (const { job_id, verdict } of failed) console.error(`${job_id}: ${reasons[verdict] ?? verdict}`)
  }
  return failed.length === 0 ? 0 : 1
}

const reasons: Readonly<Record<string, string>> = {
  not_found: 'no such job',
  stale: 'its status does not allow that',
  duplicate: 'another job with its dedupe key has not ended',
}

function counted(jobs: readonly unknown[]): string {
  return jobs.length === 1 ? '1 job' : `${jobs.length} jobs`
}
