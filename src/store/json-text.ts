// JSON.stringify writes NUL and lone surrogates as escapes, and pairs as they are; an escaped backslash before the u is plain text.
const unstorable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/i

/** Whether PostgreSQL can hold every string of this JSON text, as written by JSON.stringify: it holds neither NUL nor half a surrogate pair. */
export function isStorable(json: string): boolean {
  return !unstorable.test(json)
}
