import type { Store } from '../store/store.ts'
import type { ExitCode, Input, Option } from './command.ts'
import { yesOption } from './confirm.ts'
import { idsOf, textFlag } from './flags.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'
import { isMeant, type Kind, type Outcome, report, requireChoice } from './treat.ts'

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
  readonly note: (done: readonly Outcome[]) => string | undefined
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
  requireChoice(input, given, treatment.command, 'troupe jobs list')
  return await withStore(input, async (store) => {
    const ids = options.all ? await idsIn(store, treatment.statuses, textFlag(options, 'type')) : given
    if (!(await isMeant(input, treatment, kind, ids.length))) return 1
    const verdicts = ids.length > 0 ? await treatment.treat(store, ids) : []
    return report(
      input,
      treatment,
      kind,
      verdicts.map(({ job_id: id, verdict }) => ({ id, verdict })),
    )
  })
}

async function idsIn(store: Store, statuses: readonly JobStatus[], type: string | undefined): Promise<string[]> {
  const filter = { status: { in: statuses }, ...(type !== undefined && { job_type: type }) }
  const jobs = await store.read('agent_jobs', filter, { order: [{ by: 'created_at' }], limit: most })
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
