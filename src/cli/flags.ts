import * as z from 'zod'
import { duration } from '../sources/units.ts'
import { type Input, UsageError } from './command.ts'

type Options = Input['options']

/** The ms of a duration such as 5s, 2m or 500 (ms); undefined when it was not given. */
export function durationFlag(options: Options, name: string): number | undefined {
  const text = textFlag(options, name)
  if (text === undefined) return undefined
  const parsed = duration.safeParse(/^\d+$/.test(text) ? Number(text) : text)
  if (parsed.success) return parsed.data
  throw new UsageError(`--${name}: expected a duration like 200ms, 5s, 2m or 1h, found ${JSON.stringify(text)}`)
}

/** A whole number within bounds; undefined when it was not given. */
export function numberFlag(options: Options, name: string, { least, most }: { least: number; most: number }): number | undefined {
  const text = textFlag(options, name)
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= least && number <= most) return number
  throw new UsageError(`--${name}: expected a number from ${least} to ${most}, found ${JSON.stringify(text)}`)
}

/** One of some words; undefined when it was not given. */
export function wordFlag<Word extends string>(options: Options, name: string, words: readonly Word[]): Word | undefined {
  const text = textFlag(options, name)
  const word = words.find((one) => one === text)
  if (word !== undefined || text === undefined) return word
  throw new UsageError(`--${name}: expected ${words.join(', ')}, found ${JSON.stringify(text)}`)
}

export function textFlag(options: Options, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

/** The id that was given; a wrong one would only be refused later, and in worse words. */
export function idFlag(options: Options, name: string): string | undefined {
  const text = textFlag(options, name)
  return text === undefined ? undefined : parseId(text, `--${name}: `)
}

/** Words that are ids, each once. */
export function idsOf(words: readonly string[]): string[] {
  return [...new Set(words.map((word) => parseId(word)))]
}

function parseId(text: string, where = ''): string {
  const parsed = z.guid().safeParse(text)
  if (parsed.success) return parsed.data.toLowerCase()
  throw new UsageError(`${where}expected an id like 0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11, found ${JSON.stringify(text)}`)
}
