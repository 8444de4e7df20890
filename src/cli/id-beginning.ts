import { type Input, UsageError } from './command.ts'

const shortest = 4

/** The bounds of ids, as a condition of a read. */
type Bounds = { readonly gte: string; readonly lte: string }

/** The bounds of the ids that begin like this; undefined when none does. */
export function idsLike(text: string): Bounds | undefined {
  const hex = text.toLowerCase().replaceAll('-', '')
  if (hex.length < shortest || !/^[0-9a-f]{1,32}$/.test(hex)) return undefined
  const filled = (digit: string) => hex.padEnd(32, digit).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return { gte: filled('0'), lte: filled('f') }
}

/** An id as lists and hints show it. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}

/** The id that was given; `list` is the command that shows ids. */
export function wantedId({ words: [word] }: Pick<Input, 'words'>, command: string, list: string): string {
  if (word) return word
  throw new UsageError(`${command}: the id is missing; ${list} shows them`)
}

/** The bounds of the ids that a word of the command line may mean. */
export function requireBeginning(word: string): Bounds {
  const id = idsLike(word)
  if (id) return id
  throw new UsageError(`expected an id, or ${shortest} or more signs of its beginning, found ${JSON.stringify(word)}`)
}

/** The one row that the command line names by its id or the beginning of it; undefined when there is none. `read` gives two at most. */
export async function findByBeginning<Row>(word: string, read: (id: Bounds) => Promise<readonly Row[]>): Promise<Row | undefined> {
  const [one, another] = await read(requireBeginning(word))
  if (another !== undefined) throw new UsageError(`Several ids begin with ${word}: take more of it`)
  return one
}
