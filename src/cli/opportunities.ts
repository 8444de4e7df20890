import { userInfo } from 'node:os'
import type * as z from 'zod'
import type { relations } from '../store/functions/relations.ts'
import type { Store } from '../store/store.ts'
import { type Input, UsageError } from './command.ts'
import { textFlag } from './flags.ts'
import { plain } from './print.ts'
import { since } from './times.ts'

export type Opportunity = z.output<(typeof relations)['trade_opportunities']>
export const opportunityStatuses = ['pending', 'approved', 'rejected', 'expired'] as const

const shortest = 4
const longestTitle = 100

/** The bounds of the ids that begin like this; undefined when none does. */
export function idsLike(text: string): { readonly gte: string; readonly lte: string } | undefined {
  const hex = text.toLowerCase().replaceAll('-', '')
  if (hex.length < shortest || !/^[0-9a-f]{1,32}$/.test(hex)) return undefined
  const filled = (digit: string) => hex.padEnd(32, digit).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return { gte: filled('0'), lte: filled('f') }
}

/** An id as the list shows it. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}

/** The one opportunity that the command line names by its id or the beginning of it; undefined when there is none. */
export async function findOpportunity(store: Store, word: string): Promise<Opportunity | undefined> {
  const id = idsLike(word)
  if (id === undefined) throw new UsageError(`expected an id, or ${shortest} or more signs of its beginning, found ${JSON.stringify(word)}`)
  const [one, another] = await store.read('trade_opportunities', { id }, { limit: 2 })
  if (another !== undefined) throw new UsageError(`Several ids begin with ${word}: take more of it`)
  return one
}

/** The id that was given, for messages about a command without one. */
export function wantedId({ words: [word] }: Pick<Input, 'words'>, command: string): string {
  if (word) return word
  throw new UsageError(`${command}: the id is missing; troupe opportunities list shows them`)
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
