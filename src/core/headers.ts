import type { RawHeaders } from './http-wire.ts'

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
