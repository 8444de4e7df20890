import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import type { newJob } from '../store/functions/jobs.ts'
import type { Store } from '../store/store.ts'
import { type Command, type ExitCode, type Input, UsageError } from './command.ts'
import { durationFlag, numberFlag, textFlag } from './flags.ts'
import { shortId } from './id-beginning.ts'
import { waitForEnd } from './job-end.ts'
import { readPayload } from './job-payload.ts'
import { resultText } from './job-result.ts'
import { findTakers, waitsFor } from './job-waits.ts'
import { type Job, readJob } from './jobs.ts'
import { plainLines, printJson } from './print.ts'
import { hint, storeSettings, teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'
import { shortly } from './times.ts'
import { wakeTeam } from './wake-team.ts'

const usualWait = 600_000

/** Creates a job, for whoever takes jobs of its type. */
export const jobsAdd: Command = {
  summary: 'add a job for whichever agent takes its type',
  usage: '<type> [<json> | -] [--wait] [options]',
  examples: [
    'troupe jobs add scan_markets',
    'troupe jobs add code_review --file change.diff',
    'troupe jobs add code_review --file change.diff --wait --timeout 5m > review.json',
    `troupe jobs add write_card '{"name": "you"}' --priority 1 --dedupe-key card-for-you`,
  ],
  notes: [
    'Jobs wait in the store until an agent that takes their type runs; troupe check lists the types.',
    'With --wait the exit code is 0 when the job is completed, and 1 when it failed, was cancelled, or goes on after the timeout.',
  ],
  options: {
    wait: { type: 'boolean', help: 'wait for the end of the job and print its result' },
    timeout: { type: 'string', value: '<duration>', help: 'how long --wait waits (default 10m)' },
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
    const { options } = input
    if (options.timeout !== undefined && !options.wait) throw new UsageError('jobs add: --timeout is for --wait')
    const limit = durationFlag(options, 'timeout') ?? usualWait
    const wanted = await readWanted(input)
    const { added, kind, job } = await withStore(input, (store) => addJob(store, wanted))
    await wakeTeam(input)
    // What is told of it is none of the result's.
    const tell = options.wait ? console.error : console.log
    if (!options.json) tell(`${addedText(added)}\nFollow it: ${hint(input, `jobs show ${shortId(added.id)}`)}`)
    if (options.wait && job) return await awaitEnd(input, added, { kind, job, limit })
    if (options.json) printJson(added)
    return 0
  },
}

type Added = { readonly id: string; readonly isNew: boolean }
type Awaited = { readonly kind: Store['kind']; readonly job: Job; readonly limit: number }

async function addJob(store: Store, wanted: z.input<typeof newJob>) {
  const [made] = await store.call('create_jobs', { p_batch: [wanted] })
  const added: Added = { id: made?.job_id ?? '', isNew: made?.verdict !== 'duplicate' }
  return { added, kind: store.kind, job: await readJob(store, added.id) }
}

function addedText({ id, isNew }: Added): string {
  return isNew ? `added ${id}` : `Job ${id} has this key and has not ended: nothing was added.`
}

async function awaitEnd(input: Input, { id, isNew }: Added, { kind, job, limit }: Awaited): Promise<ExitCode> {
  const { folder } = await storeSettings(input)
  async function onSlow(one: Job, store: Store | undefined): Promise<void> {
    const waits = waitsFor(one, await findTakers(store, folder, [one]), Date.now())
    if (waits !== undefined) console.error(`It waits for ${plainLines(waits)}`)
  }
  const ended = await waitForEnd(input, kind, job, { limit, onSlow })
  const { status = null, result = null, error_message: error = null } = ended ?? {}
  if (input.options.json) printJson({ id, isNew, status, result, error })
  else if (status === 'completed') console.log(resultText(result, { isTerminal: process.stdout.isTTY === true }))
  else console.error(endText(ended, limit, hint(input, `jobs show ${shortId(id)}`)))
  return status === 'completed' ? 0 : 1
}

function endText(job: Job | undefined, limit: number, follow: string): string {
  if (job === undefined) return 'The job is no more: somebody has removed it.'
  const { status, error_message: error } = job
  if (status === 'failed' || status === 'cancelled')
    return `The job ${status === 'failed' ? 'failed' : 'was cancelled'}${error ? `: ${plainLines(error)}` : '.'}`
  return `The job has not ended within ${shortly(limit)}, and goes on: ${follow}`
}

async function readWanted({ options, words: [type, word] }: Input) {
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
    // The same job when the call is repeated because its answer got lost.
    id: randomUUID(),
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
