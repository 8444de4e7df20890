import { inspect } from 'node:util'
import { ActorError } from '../core/errors.ts'
import { isStorable } from './json.ts'

const nameLimit = 300

/** Refuses what cannot be an address, a type or a name in the database; `what` says which argument it is. */
export function checkName(value: unknown, what: string, most: number = nameLimit): void {
  if (typeof value === 'string' && value.length > 0 && value.length <= most && isStorable(value)) return
  refuse(what, value, `a text of 1 to ${most} characters`)
}

/** Refuses what is not a number of at least `least`; undefined passes. */
export function checkNumber(value: unknown, what: string, { least = 0, most = Number.MAX_SAFE_INTEGER } = {}): void {
  if (value === undefined || (typeof value === 'number' && value >= least && value <= most)) return
  refuse(what, value, most === Number.MAX_SAFE_INTEGER ? `a number of at least ${least}` : `a number from ${least} to ${most}`)
}

/** Refuses what is not one of these words; undefined passes. */
export function checkWord(value: unknown, what: string, words: readonly string[]): void {
  if (value === undefined || words.includes(value as string)) return
  refuse(what, value, `one of ${words.join(', ')}`)
}

/** Says the place, what was found there and what is expected. */
export function refuse(what: string, value: unknown, expected: string): never {
  const found = typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : inspect(value, { depth: 1 }).slice(0, 80)
  throw new ActorError('BODY_INVALID', `${what} is ${found}, expected ${expected}`)
}
