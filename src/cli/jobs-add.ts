import * as z from 'zod'
import { type Command, type ExitCode, type Input, UsageError } from './command.ts'
import { durationFlag, numberFlag, textFlag } from './flags.ts'
import { readPayload } from './job-payload.ts'
import { printJson } from './print.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'

/** Creates a job, for whoever takes jobs of its type. */
export const jobsAdd: Command = {
  summary: 'add a job for whichever agent takes its type',
  usage: '<type> [<json> | -] [options]',
  examples: [
    'troupe jobs add scan_markets',
    'troupe jobs add code_review --file change.diff',
    `troupe jobs add write_card '{"name": "you"}' --priority 1 --dedupe-key card-for-you`,
  ],
  notes: ['Jobs wait in the store until an agent that takes their type runs; troupe check lists the types.'],
  options: {
    file: { type: 'string', value: '<file>', help: 'a .json file is the payload; any other, or one beside JSON, is a file to work on' },
    priority: { type: 'string', value: '<1..10>', help: '1 is first (default 5)' },
    target: { type: 'string', value: '<agent>', help: 'only this agent may take it' },
    'dedupe-key': { type: 'string', value: '<key>', help: 'at most one live job of a type has the same key' },
    delay: { type: 'string', value: '<duration>', help: 'when it is due' },
    'max-attempts': { type: 'string', value: '<1..100>', help: 'how often it is tried (default 3)' },
    ...teamOptions,
  },
  words: 2,
  async run(input: Input): Promise<ExitCode> {
    const job = await readJob(input)
    const [made] = await withStore(input, (store) => store.call('create_jobs', { p_batch: [job] }))
    const { job_id: id, verdict } = made ?? { job_id: null, verdict: 'ok' }
    if (input.options.json) printJson({ id, isNew: verdict === 'ok' })
    else console.log(verdict === 'duplicate' ? `Job ${id} has this key and has not ended: nothing was added.` : `added ${id}`)
    return 0
  },
}

async function readJob({ options, words: [type, word] }: Input) {
  if (!type) throw new UsageError('jobs add: the type is missing')
  const payload = z
    .json()
    .optional()
    .parse(await readPayload(word, textFlag(options, 'file')))
  const [priority, maxAttempts] = [
    numberFlag(options, 'priority', { least: 1, most: 10 }),
    numberFlag(options, 'max-attempts', { least: 1, most: 100 }),
  ]
  const [target, key, delay] = [textFlag(options, 'target'), textFlag(options, 'dedupe-key'), durationFlag(options, 'delay')]
  return {
    job_type: type,
    created_by: 'outside',
    ...(payload !== undefined && { payload }),
    ...(priority !== undefined && { priority }),
    ...(maxAttempts !== undefined && { max_attempts: maxAttempts }),
    ...(target !== undefined && { target_agent: target }),
    ...(key !== undefined && { dedupe_key: key }),
    ...(delay !== undefined && { delay_ms: delay }),
  }
}
