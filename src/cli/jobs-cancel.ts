import type { Command } from './command.ts'
import { chooseOptions, treatJobs } from './jobs.ts'
import { hint } from './team-input.ts'

/** Ends jobs that nobody wants done any more. */
export const jobsCancel: Command = {
  summary: 'cancel jobs that have not ended (retry brings them back)',
  usage: '<id>… | --all [--type <type>] [--yes] [--json]',
  examples: ['troupe jobs cancel 0b6f2f5e', 'troupe jobs cancel --all --type scan_markets'],
  notes: [
    'The beginning of an id is enough, where it is the only one.',
    'What a job that runs has done outside of the store stays done; its result is refused.',
  ],
  options: chooseOptions('waiting or running'),
  words: Number.POSITIVE_INFINITY,
  run: (input) =>
    treatJobs(input, {
      command: 'jobs cancel',
      verb: 'Cancel',
      done: 'cancelled',
      statuses: ['pending', 'assigned', 'in_progress'],
      treat: (store, ids) => store.call('cancel_jobs', { p_batch: ids.map((job_id) => ({ job_id, reason: 'cancelled by command' })) }),
      note: ([first, second]) => `To undo it: ${hint(input, `jobs retry ${second ? '<id>' : first?.id}`)}`,
    }),
}
