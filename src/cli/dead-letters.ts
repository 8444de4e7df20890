import type * as z from 'zod'
import type { relations } from '../store/functions/relations.ts'
import type { Filter, Store } from '../store/store.ts'
import { type ExitCode, type Input, type Option, UsageError } from './command.ts'
import { isConfirmed, yesOption } from './confirm.ts'
import { idsOf, numberFlag, textFlag } from './flags.ts'
import { printJson } from './print.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'

export type DeadLetter = z.output<(typeof relations)['v_dead_letters']>
/** A message is dead for one agent; a broadcast may be so for several. */
type Letter = Pick<DeadLetter, 'id' | 'agent_id'>
type Verdict = { readonly id: string; readonly agent_id: string; readonly verdict: string }

export const filterOptions = {
  agent: { type: 'string', value: '<agent>', help: 'only those for this agent' },
  reason: { type: 'string', value: '<word>', help: 'only those with this reason, such as attempts_exhausted or expired' },
  limit: { type: 'string', value: '<number>', help: 'at most so many, the latest first' },
  ...teamOptions,
} as const satisfies Record<string, Option>

export const chooseOptions = {
  all: { type: 'boolean', help: 'all of them, or all that fit --agent and --reason; asks first' },
  ...yesOption,
  ...filterOptions,
} as const satisfies Record<string, Option>

const most = 1_000
const idsAtOnce = 100

/** The latest dead letters that the command line asks for. */
export async function readDead(store: Store, { options }: Pick<Input, 'options'>, usual = most): Promise<DeadLetter[]> {
  const [agent, reason] = [textFlag(options, 'agent'), textFlag(options, 'reason')]
  const filter: Filter<DeadLetter> = { ...(agent !== undefined && { agent_id: agent }), ...(reason !== undefined && { reason }) }
  const limit = numberFlag(options, 'limit', { least: 1, most }) ?? usual
  return await store.read('v_dead_letters', filter, { order: [{ by: 'died_at', descending: true }], limit })
}

export interface Treatment {
  readonly command: string
  /** As in "Replay 3 dead letters?" and "3 replayed". */
  readonly verb: string
  readonly done: string
  readonly treat: (store: Store, letters: readonly Letter[]) => Promise<readonly Verdict[]>
  readonly note: (done: readonly Verdict[]) => string | undefined
}

/** Does something to the dead letters that the command line names, or to all of them. */
export async function treatDead(input: Input, treatment: Treatment): Promise<ExitCode> {
  const { options, words } = input
  const ids = idsOf(words)
  if (options.all ? ids.length > 0 : ids.length === 0) {
    throw new UsageError(`${treatment.command}: expected ids (troupe dead list shows them) or --all, not both`)
  }
  return await withStore(input, async (store) => {
    const letters = options.all ? await readDead(store, input) : await lettersOf(store, ids, textFlag(options, 'agent'))
    if (options.all && letters.length > 0 && !(await isConfirmed(input, treatment.command, `${treatment.verb} ${counted(letters)}?`))) {
      console.error('Nothing was done.')
      return 1
    }
    const verdicts =
      letters.length > 0
        ? await treatment.treat(
            store,
            letters.map(({ id, agent_id }) => ({ id, agent_id })),
          )
        : []
    const missing = ids.filter((id) => !letters.some((letter) => letter.id === id))
    return report(input, treatment, [...verdicts, ...missing.map((id) => ({ id, agent_id: '', verdict: 'not_found' }))])
  })
}

/** With the agent's name a letter need not be in the list any more: so one that was dropped can be named. */
async function lettersOf(store: Store, ids: readonly string[], agent: string | undefined): Promise<Letter[]> {
  if (agent !== undefined) return ids.map((id) => ({ id, agent_id: agent }))
  const found: Letter[] = []
  for (let at = 0; at < ids.length; at += idsAtOnce) {
    found.push(...(await store.read('v_dead_letters', { id: { in: ids.slice(at, at + idsAtOnce) } }, { limit: most })))
  }
  return found
}

function report({ options }: Input, { done: past, note }: Treatment, verdicts: readonly Verdict[]): ExitCode {
  const done = verdicts.filter(({ verdict }) => verdict === 'ok' || verdict === 'repeat')
  const failed = verdicts.filter((one) => !done.includes(one))
  if (options.json) printJson({ results: verdicts.map(({ id, agent_id: agent, verdict }) => ({ id, agent, verdict })) })
  else {
    const text = note(done)
    console.log(done.length === 0 && failed.length === 0 ? 'There are no dead letters that fit.' : `${counted(done)} ${past}.`)
    if (text && done.length > 0) console.log(text)
    for (const { id, verdict } of failed) console.error(`${id}: ${reasons[verdict] ?? verdict}`)
  }
  return failed.length === 0 ? 0 : 1
}

const reasons: Readonly<Record<string, string>> = {
  not_found: 'no such dead letter (one that was dropped needs --agent)',
  stale: 'it is not dead (any more)',
}

function counted(letters: readonly unknown[]): string {
  return letters.length === 1 ? '1 dead letter' : `${letters.length} dead letters`
}
