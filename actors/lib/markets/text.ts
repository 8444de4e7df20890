// Escape sequences would act on a terminal, NUL is refused by the store, and direction marks make a text read as another one.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const harmful = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g

/**
 * Text of strangers, safe to store, print and cut: no control characters, well-formed, at most `limit` long. It stays untrusted: no decision
 * may depend on it.
 */
export function plainText(value: string, limit: number): string {
  // Cut first: a megabyte is not searched for the sake of a line.
  const text = value
    .slice(0, limit * 2)
    .replace(harmful, '')
    .slice(0, limit)
    .toWellFormed()
  // A cut string holds on to the whole one; a copy does not.
  return value.length > limit ? Buffer.from(text).toString() : text
}
