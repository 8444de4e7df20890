import { userInfo } from 'node:os'
import type * as z from 'zod'
import type { relations } from '../store/functions/relations.ts'
import type { Store } from '../store/store.ts'
import { type Input, UsageError } from './command.ts'
import { textFlag } from './flags.ts'
import { findByBeginning, wantedId } from './id-beginning.ts'
import { plain } from './print.ts'
import { since } from './times.ts'

export type Opportunity = z.output<(typeof relations)['trade_opportunities']>
export const opportunityStatuses = ['pending', 'approved', 'rejected', 'expired'] as const

const longestTitle = 100

/** The one opportunity that the command line names by its id or the beginning of it; undefined when there is none. */
export function findOpportunity(store: Store, word: string): Promise<Opportunity | undefined> {
  return findByBeginning(word, (id) => store.read('trade_opportunities', { id }, { limit: 2 }))
}

/** The id that was given, for messages about a command without one. */
export function wantedOpportunity(input: Pick<Input, 'words'>, command: string): string {
  return wantedId(input, command, 'troupe opportunities list')
}

/** What it is about, without anything that a terminal would obey: markets are written by strangers. */
export function subjectOf({ side, market_question: question, market_id: market }: Opportunity): string {
  return plain(`${side} "${(question ?? market).slice(0, longestTitle)}"`)
}

/** What became of it, for people. */
export function fateOf(one: Opportunity, now: number): string {
  const { status, expires_at: end, reviewed_by: by, reviewed_at: at, review_reason: reason } = one
  const isOver = status === 'expired' || (status === 'pending' && end !== null && Date.parse(end) <= now)
  if (isOver) return `expired ${since(end, now)}`
  if (status === 'pending') return 'pending: nobody has decided'
  return plain(`${status} by ${by ?? 'nobody known'} ${since(at, now)}${reason ? `: ${reason}` : ''}`)
}

/** Who decides: by default whoever is logged in. */
export function reviewerOf({ options }: Pick<Input, 'options'>): string {
  const given = textFlag(options, 'by')?.trim()
  if (given) return given
  if (given === '') throw new UsageError('--by: expected a name')
  try {
    return userInfo().username
  } catch {
    // In a container its number may have no name.
    throw new UsageError('The user of this process has no name: say who decides with --by <name>')
  }
}
