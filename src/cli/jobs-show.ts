import type { Command, ExitCode, Input } from './command.ts'
import { shortId, wantedId } from './id-beginning.ts'
import { resultText } from './job-result.ts'
import { describeJob } from './job-text.ts'
import { findTakers, waitsFor } from './job-waits.ts'
import { findJob, type Job, jobAsJson } from './jobs.ts'
import { plain, printJson } from './print.ts'
import { storeSettings, teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'

/** Shows one job: what became of it, or what it waits for. */
export const jobsShow: Command = {
  summary: 'show one job: what it waits for, what failed, its result',
  usage: '<id> [--result] [--json]',
  examples: [
    'troupe jobs show 0b6f2f5e',
    'troupe jobs show 0b6f2f5e --result > review.json',
    "troupe jobs show 0b6f2f5e --result | jq -r '.artifacts[0].text'",
  ],
  notes: [
    'The beginning of an id is enough, where it is the only one.',
    'Exit code 1: there is no such job, or, with --result, it has no result.',
  ],
  options: {
    result: { type: 'boolean', help: 'print the result alone, as JSON, or as it is where it is a text' },
    ...teamOptions,
  },
  words: 1,
  async run(input: Input): Promise<ExitCode> {
    const word = wantedId(input, 'jobs show', 'troupe jobs list')
    const { folder } = await storeSettings(input)
    const { job, waits } = await withStore(input, async (store) => {
      const found = await findJob(store, word)
      if (found === undefined || input.options.result) return { job: found, waits: undefined }
      return { job: found, waits: waitsFor(found, await findTakers(store, folder, [found]), Date.now()) }
    })
    if (input.options.result) return printResult(job, word, input)
    if (input.options.json) printJson({ job: job === undefined ? null : { ...jobAsJson(job), waitsFor: waits ?? null } })
    else if (job === undefined) console.error(noJob(word))
    else console.log(describeJob(job, waits, Date.now()))
    return job === undefined ? 1 : 0
  },
}

function printResult(job: Job | undefined, word: string, { options }: Input): ExitCode {
  if (job === undefined || job.result === null) {
    console.error(
      job === undefined ? noJob(word) : `Job ${shortId(job.id)} is ${job.status} and has no result: troupe jobs show ${shortId(job.id)}`,
    )
    return 1
  }
  if (options.json) printJson(job.result)
  else console.log(resultText(job.result, { isTerminal: process.stdout.isTTY === true }))
  return 0
}

function noJob(word: string): string {
  return `There is no job ${plain(word)}.`
}
