import { packHeaders, type RawHeaders, unpackHeaders } from './http-wire.ts'

/** The value of the first header of that name, which is in lower case. */
export function headerIn(headers: RawHeaders, name: string): string | undefined {
  for (let at = 0; at < headers.length; at += 2) {
    const given = headers[at] as string
    if (given.length === name.length && given.toLowerCase() === name) return headers[at + 1]
  }
  return undefined
}

/** Headers by name in lower case; what came more than once is joined, as fetch does. */
export function byName(headers: RawHeaders): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [given, value] of pairs(headers)) {
    const name = given.toLowerCase()
    found[name] = Object.hasOwn(found, name) ? `${found[name]}, ${value}` : value
  }
  return found
}

export function pairs(headers: RawHeaders): (readonly [string, string])[] {
  return headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1] ?? ''] as const] : []))
}

/** Makes what reads headers from their text; most texts come again and again, and are read once. */
export function createHeaderReader(): (text: string) => RawHeaders {
  let last = ''
  let headers: RawHeaders = Object.freeze([])
  return (text) => {
    if (text === last) return headers
    headers = Object.freeze(unpackHeaders(text))
    last = text
    return headers
  }
}

const forbidden = /[\r\n\0]/

/**
 * Makes what writes headers as text; those that cannot change and are the same as before are written once. Throws a TypeError for a
 * line end in one: it would be read as headers of its own.
 */
export function createHeaderWriter(): (headers: RawHeaders) => string {
  let last: RawHeaders | undefined
  let text = ''
  return (headers) => {
    if (headers === last) return text
    const at = headers.findIndex((one) => forbidden.test(one))
    if (at !== -1) throw unwritable(headers[at - (at % 2)] as string)
    if (!Object.isFrozen(headers)) return packHeaders(headers)
    last = headers
    text = packHeaders(headers)
    return text
  }
}

/** Not its value, which may be a secret. */
function unwritable(name: string): TypeError {
  return new TypeError(`The header ${JSON.stringify(name)} holds a line end or a NUL, expected a name and a value of one line`)
}
