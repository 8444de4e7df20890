/** Characters of what an agent gives as the reason for its status. */
export const longestReason = 4_000

/** Makes a text that PostgreSQL can hold, of at most so many characters: it holds neither NUL nor half a surrogate pair. */
export function storable(text: string, most: number): string {
  return text.slice(0, most).toWellFormed().replaceAll('\0', '\u{FFFD}')
}
