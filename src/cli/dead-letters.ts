import type * as z from 'zod'
import { mostRows } from '../core/most-rows.ts'
import type { relations } from '../store/functions/relations.ts'
import type { Filter, Store } from '../store/store.ts'
import type { ExitCode, Input, Option } from './command.ts'
import { yesOption } from './confirm.ts'
import { idsOf, numberFlag, textFlag } from './flags.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'
import { isMeant, type Kind, type Outcome, report, requireChoice } from './treat.ts'

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

export const droppedOption = {
  dropped: { type: 'boolean', help: 'those that were dropped and are kept still' },
} as const satisfies Record<string, Option>

export const chooseOptions = {
  all: { type: 'boolean', help: 'all of them, or all that fit the options below; asks first' },
  ...yesOption,
  ...filterOptions,
} as const satisfies Record<string, Option>

const latest = { order: [{ by: 'died_at', descending: true }] } as const
const idsAtOnce = 100

/** The latest dead letters that the command line asks for. */
export async function readDead(store: Store, { options }: Pick<Input, 'options'>, usual = mostRows): Promise<DeadLetter[]> {
  const [agent, reason] = [textFlag(options, 'agent'), textFlag(options, 'reason')]
  const filter: Filter<DeadLetter> = { ...(agent !== undefined && { agent_id: agent }), ...(reason !== undefined && { reason }) }
  const limit = numberFlag(options, 'limit', { least: 1, most: mostRows }) ?? usual
  return await store.read(viewOf(options), filter, { ...latest, limit })
}

/** Says why there is none: of a filter that fits nothing, what there is to filter by. */
export async function noneText(store: Store, { options }: Pick<Input, 'options'>): Promise<string> {
  const [agent, reason] = [textFlag(options, 'agent'), textFlag(options, 'reason')]
  const kept = await store.read(viewOf(options), {}, { ...latest, limit: mostRows })
  if (kept.length === 0) return options.dropped ? 'No dead letters were dropped that are kept still.' : 'There are no dead letters.'
  const asked = [...(agent === undefined ? [] : [`for "${agent}"`]), ...(reason === undefined ? [] : [`with the reason "${reason}"`])]
  const there = tally(kept.map(({ agent_id, reason: why }) => `${agent_id} (${why})`))
  return `There are no dead letters ${asked.join(' ')}; there are some for ${there}.`
}

function viewOf(options: Input['options']): 'v_dead_letters' | 'v_dropped_letters' {
  return options.dropped ? 'v_dropped_letters' : 'v_dead_letters'
}

function tally(words: readonly string[]): string {
  return [...new Set(words)].sort().join(', ')
}

export interface Treatment {
  readonly command: string
  /** As in "Replay 3 dead letters?" and "3 replayed". */
  readonly verb: string
  readonly done: string
  readonly treat: (store: Store, letters: readonly Letter[]) => Promise<readonly Verdict[]>
  readonly note: (done: readonly (Outcome & { readonly agent: string })[]) => string | undefined
}

/** Does something to the dead letters that the command line names, or to all of them. */
export async function treatDead(input: Input, treatment: Treatment): Promise<ExitCode> {
  const { options, words } = input
  const ids = idsOf(words)
  requireChoice(input, ids, treatment.command, 'troupe dead list')
  return await withStore(input, async (store) => {
    const letters = options.all ? await readDead(store, input) : await lettersOf(store, ids, textFlag(options, 'agent'))
    const fitting = options.all && letters.length === 0 ? { ...kind, none: await noneText(store, input) } : kind
    if (!(await isMeant(input, treatment, kind, letters.length))) return 1
    const named = letters.map(({ id, agent_id }) => ({ id, agent_id }))
    const verdicts = named.length > 0 ? await treatment.treat(store, named) : []
    const missing = ids.filter((id) => !letters.some((letter) => letter.id === id))
    const all = [...verdicts, ...missing.map((id) => ({ id, agent_id: '', verdict: 'not_found' }))]
    return report(
      input,
      treatment,
      fitting,
      all.map(({ id, agent_id: agent, verdict }) => ({ id, agent, verdict })),
    )
  })
}

/** Also those that were dropped: a command may be repeated, or undone. */
async function lettersOf(store: Store, ids: readonly string[], agent: string | undefined): Promise<Letter[]> {
  if (agent !== undefined) return ids.map((id) => ({ id, agent_id: agent }))
  const found: Letter[] = []
  for (let at = 0; at < ids.length; at += idsAtOnce) {
    const named = { id: { in: ids.slice(at, at + idsAtOnce) } }
    for (const view of ['v_dead_letters', 'v_dropped_letters'] as const) found.push(...(await store.read(view, named, { limit: mostRows })))
  }
  return found
}

const kind: Kind = {
  one: 'dead letter',
  many: 'dead letters',
  none: 'There are no dead letters.',
  reasons: {
    not_found: 'no such dead letter',
    stale: 'it is not dead (any more)',
  },
}
