import type { Command } from './command.ts'
import { chooseOptions, treatJobs } from './jobs.ts'
import { wakeTeam } from './wake-team.ts'

/** Gives dead or cancelled jobs a fresh set of attempts. */
export const jobsRetry: Command = {
  summary: 'try dead or cancelled jobs again',
  usage: '<id>… | --all [--type <type>] [--yes] [--json]',
  examples: ['troupe jobs retry 0b6f2f5e', 'troupe jobs retry --all --type execute_trade'],
  notes: ['The beginning of an id is enough, where it is the only one.'],
  options: chooseOptions('failed'),
  words: Number.POSITIVE_INFINITY,
  async run(input) {
    const code = await treatJobs(input, {
      command: 'jobs retry',
      verb: 'Retry',
      done: 'will be tried again',
      statuses: ['failed'],
      treat: (store, ids) => store.call('redrive_jobs', { p_batch: ids.map((job_id) => ({ job_id })) }),
      note: () => undefined,
    })
    await wakeTeam(input)
    return code
  },
}
