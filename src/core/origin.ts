/** Gives the origin of an address, or undefined for what is none that HTTP reaches. */
export function originOf(address: string): string | undefined {
  const url = URL.parse(address)
  return url && ['http:', 'https:'].includes(url.protocol) ? url.origin : undefined
}

/** Whether a text names origins: one, such as https://api.example.com, https://*.example.com for all hosts below one, * for everywhere. */
export function isOriginPattern(text: string): boolean {
  const one = bare(text).replace('://*.', '://')
  return text === '*' || originOf(one) === one
}

/** Whether one of the patterns has the origin in it. */
export function isAllowed(origin: string, patterns: readonly string[]): boolean {
  return patterns.map(bare).some((pattern) => pattern === '*' || pattern === origin || isBelow(origin, pattern))
}

/** Addresses in an environment tend to end with a slash. */
function bare(pattern: string): string {
  return pattern.replace(/\/$/, '')
}

function isBelow(origin: string, pattern: string): boolean {
  const [scheme, rest, ...more] = pattern.split('://*.')
  if (rest === undefined || more.length > 0) return false
  return origin.startsWith(`${scheme}://`) && origin.endsWith(`.${rest}`)
}
