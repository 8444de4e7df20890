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

/** Makes what writes headers as text; those that cannot change and are the same as before are written once. */
export function createHeaderWriter(): (headers: RawHeaders) => string {
  let last: RawHeaders | undefined
  let text = ''
  return (headers) => {
    if (headers === last) return text
    if (!Object.isFrozen(headers)) return packHeaders(headers)
    last = headers
    text = packHeaders(headers)
    return text
  }
}
