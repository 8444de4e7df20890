import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { UsageError } from './command.ts'
import { readJson } from './json-text.ts'

/** Bytes of a file to work on; with what else is in it a payload has at most 1 MiB. */
const largest = 700_000

/**
 * The payload of a new job: JSON from a word, standard input or a .json file. Any other file is something to work on, and so is each
 * file beside JSON: it goes into the payload's `files`, as { name, text }.
 */
export async function readPayload(word: string | undefined, file: string | undefined): Promise<unknown> {
  if (file === undefined || (word === undefined && file.endsWith('.json'))) return await readJson({ word, file, what: 'payload' })
  const given = (await readJson({ word, file: undefined, what: 'payload' })) ?? {}
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new UsageError(`jobs add: beside --file the payload is an object, such as '{"title": "…"}'`)
  }
  const { files = [], ...payload } = given as { readonly files?: unknown }
  if (!Array.isArray(files)) throw new UsageError('files: expected a list of { name, text }')
  return { ...payload, files: [...files, { name: basename(file), text: await readText(file) }] }
}

async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: Error) => {
    throw new UsageError(`--file: ${error.message}`)
  })
  if (bytes.length > largest) throw new UsageError(`--file: ${file} has ${bytes.length} bytes, a job takes at most ${largest}`)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {}
  throw new UsageError(`--file: ${file} is no text in UTF-8`)
}
