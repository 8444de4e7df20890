import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { type Input, UsageError } from './command.ts'

/** Where JSON comes from: a word of the command line, `-` for standard input, or a file. */
export type JsonFrom = { readonly word: string | undefined; readonly file: Input['options'][string]; readonly what: string }

/** Reads the JSON that a command was given; undefined when it was given none. */
export async function readJson({ word, file, what }: JsonFrom): Promise<unknown> {
  if (word !== undefined && file !== undefined) throw new UsageError(`The ${what} was given twice: as a word and with --file`)
  if (typeof file === 'string') return parseJson(await readGiven(file), what)
  if (word === undefined) return undefined
  return parseJson(word === '-' ? await text(process.stdin) : word, what)
}

async function readGiven(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((error: Error) => {
    throw new UsageError(`--file: ${error.message}`)
  })
}

/** Says where a text stops being JSON, and what is mostly meant when it does there. */
export function parseJson(json: string, what: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw new UsageError(`The ${what} is not JSON: ${placeIn(json)}\nhint: ${hintFor(json)}`)
  }
}

const shown = 20

function placeIn(json: string): string {
  const at = offsetOf(json)
  if (json.trim() === '') return 'it is empty'
  if (at >= json.length) return `it ends too early, after ${json.length} characters`
  const lines = json.slice(0, at).split('\n')
  const where = json.includes('\n') ? `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}` : `character ${at + 1}`
  const before = JSON.stringify(json.slice(Math.max(0, at - shown), at))
  return `unexpected ${JSON.stringify(json.slice(at, at + shown))} ${at === 0 ? 'at its beginning' : `after ${before}`} (${where})`
}

/** The length of the longest beginning that more text could make JSON: JSON.parse itself does not always say. */
function offsetOf(json: string): number {
  let [good, bad] = [0, json.length + 1]
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    if (isBeginning(json.slice(0, middle))) good = middle
    else bad = middle
  }
  return good
}

function isBeginning(json: string): boolean {
  try {
    JSON.parse(json)
    return true
  } catch (error) {
    const { message } = error as SyntaxError
    const [, position] = /at position (\d+)/.exec(message) ?? []
    return position === undefined ? message.includes('end of JSON') : Number(position) >= json.length
  }
}

function hintFor(json: string): string {
  const trimmed = json.trim()
  if (/^[A-Za-z][\w .:/-]*$/.test(trimmed))
    return `a text is JSON in double quotes, which the shell takes away unless it is told: '"${trimmed}"'`
  if (/^[{[]/.test(trimmed)) {
    return `names and texts stand in double quotes, and single quotes around it all keep the shell from them: '{"name": "value"}'`
  }
  return `put it in single quotes: '{"name": "value"}', or in a file: --file body.json`
}
