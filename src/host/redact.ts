type Environment = Readonly<Record<string, string | undefined>>

const secretName = /key|secret|token|passw|uri|credential|dsn|private/i
/** Shorter ones would take ordinary words and numbers out of every line. */
const shortest = 8

/**
 * Makes a function that takes secrets out of text: the values of variables whose name says that they are one, what logs in with an
 * address, and whatever is named as `also`.
 */
export function createRedactor(env: Environment, also: readonly string[] = []): (text: string) => string {
  const named = Object.entries(env).flatMap(([name, value = '']) => (secretName.test(name) ? [value] : []))
  const found = [...named, ...Object.values(env).flatMap(loginsOf), ...also].map((value) => value.trim())
  // In a line of NDJSON a value stands as JSON writes it.
  const forms = found.filter(({ length }) => length >= shortest).flatMap((value) => [value, JSON.stringify(value).slice(1, -1)])
  const longestFirst = [...new Set(forms)].sort((a, b) => b.length - a.length)
  if (longestFirst.length === 0) return (text) => text
  const pattern = new RegExp(longestFirst.map((value) => RegExp.escape(value)).join('|'), 'g')
  return (text) => text.replace(pattern, '[redacted]')
}

/** An address that logs in, its user with password, and the password alone. */
function loginsOf(value = ''): string[] {
  const [, login, password = ''] = /^[a-z][a-z0-9+.-]*:\/\/([^\s/@]*:([^\s/@]+))@/i.exec(value.trim()) ?? []
  return login === undefined ? [] : [value, login, password]
}
