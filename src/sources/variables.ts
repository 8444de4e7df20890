import { isScalar, parseDocument } from 'yaml'

export type Environment = Readonly<Record<string, string | undefined>>

const variables = /\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g

// What has a meaning in YAML, and signs that have none, one for each: so offsets stay what they are.
const signs = '{}[], :#'
const first = 0xe000
const veils = [...signs].map((_, index) => String.fromCharCode(first + index))

/** A config's text with its variables in a form that YAML takes as plain text wherever they stand, also within braces. */
export function veil(text: string): string {
  return text.replaceAll(
    variables,
    (variable) => `$${variable.slice(1).replace(/[{}[\], :#]/g, (sign) => veils[signs.indexOf(sign)] ?? sign)}`,
  )
}

/** The same text as it was written. */
export function unveil(text: string): string {
  return text.replace(/[\ue000-\ue007]/g, (sign) => signs[sign.charCodeAt(0) - first] ?? sign)
}

/** Whether a text is one variable and nothing else, and still veiled. */
export function isVariable(text: string): boolean {
  return /^\$\ue000[^\ue001]*\ue001$/.test(text)
}

type Path = readonly PropertyKey[]

/**
 * Values with `${NAME}`; undefined where a variable is unset that has no default, as `${NAME:-default}` has. What a variable gives is
 * text, but for those that stand alone, without quotes, where `reads` says so: that is read as the file itself would be.
 */
export function substitute(value: unknown, env: Environment, reads: (path: Path) => boolean = () => false, path: Path = []): unknown {
  if (typeof value === 'string') {
    const text = filled(unveil(value), env)
    return text !== undefined && isVariable(value) && reads(path) ? scalarOf(text) : text
  }
  if (Array.isArray(value)) return value.map((item, index) => substitute(item, env, reads, [...path, index]))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, substitute(item, env, reads, [...path, key])]))
}

function filled(text: string, env: Environment): string | undefined {
  const needed = [...text.matchAll(variables)].filter(([, , fallback]) => fallback === undefined)
  if (needed.some(([, variable = '']) => !env[variable])) return undefined
  return text.replaceAll(variables, (_, variable: string, fallback = '') => env[variable] || fallback)
}

function scalarOf(text: string): unknown {
  const { contents } = parseDocument(text, { logLevel: 'silent' })
  return isScalar(contents) && typeof contents.value !== 'object' ? contents.value : text
}
