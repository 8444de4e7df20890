import { type Finding, type Said, severities } from './finding.ts'
import type { Lint } from './javascript.ts'
import { findSecrets, masker } from './secrets.ts'
import { isFragment, type Source } from './source.ts'

/** What the analysers found, and the sources as others may see them. */
export interface Analysis {
  /** The gravest, if there are very many. */
  readonly findings: readonly Finding[]
  /** How many more there are. */
  readonly left: number
  /** What was not read by an analyser, and why. */
  readonly unread: readonly { readonly file: string; readonly reason: string }[]
  /** The sources without their secrets. */
  readonly masked: readonly Source[]
  /** What a masked text has instead of the secrets; needed to mask whatever else is said of them. */
  readonly secrets: readonly string[]
}

const most = 2_000
/** Characters of what an analyser says: it may quote the code. */
const longest = 500
const analysers = { javascript: 'eslint', typescript: 'eslint', python: 'ruff', sql: 'sql' } as const

/** Judges sources. A task of the compute pool: each analyser is loaded when its language comes for the first time. */
export async function analyse(sources: readonly Source[]): Promise<Analysis> {
  const secrets = sources.map(({ text }) => findSecrets(text))
  const mask = masker(secrets.flat())
  const masked = sources.map((source) => ({ ...source, text: mask(source.text) }))
  const said: Placed[] = []
  const unread: { file: string; reason: string }[] = []
  for (const [at, source] of sources.entries()) {
    const { said: linted, unread: reason } = await lint(source)
    const by = source.language === null ? '' : analysers[source.language]
    const found = [...(secrets[at] ?? []).map((one) => ({ ...one, by: 'secrets' })), ...linted.map((one) => ({ ...one, by }))]
    for (const one of unique(found.filter(isNews(source)))) said.push({ ...one, at })
    if (source.skipped > 0) unread.push({ file: source.name, reason: `${source.skipped} parts of it begin at lines that no file has` })
    if (reason !== null) unread.push({ file: source.name, reason: mask(reason).slice(0, longest) })
  }
  const gravest = said.toSorted((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity)).slice(0, most)
  const lines = masked.map(({ text }) => text.split('\n'))
  const findings = gravest.map((one) => toFinding(one, masked[one.at]?.name ?? '', lines[one.at]?.[one.line - 1] ?? '', mask))
  return { findings, left: said.length - findings.length, unread, masked, secrets: secrets.flat().map(({ value }) => value) }
}

/** What was said of which source, and by whom. */
type Placed = Said & { readonly by: string; readonly at: number }

function toFinding(said: Placed, file: string, line: string, mask: (text: string) => string): Finding {
  const { rule, category, severity, message, by } = said
  return {
    file,
    line: said.line,
    rule,
    category,
    severity,
    message: mask(message).slice(0, longest),
    excerpt: line.trim().slice(0, 200),
    by: [by],
  }
}

async function lint(source: Source): Promise<Lint> {
  try {
    const whole = await lintText(source, source.text)
    if (whole.unread === null || !isFragment(source)) return whole
    return await lintPieces(source)
  } catch (error) {
    return { said: [], unread: `the analyser failed: ${(error as Error).message}` }
  }
}

/** What a diff shows rarely parses as a whole: each stretch is tried by itself, closed as far as braces tell. */
async function lintPieces(source: Source): Promise<Lint> {
  const lines = source.text.split('\n')
  const said: Said[] = []
  const unread: string[] = []
  for (const [from, to] of source.shown ?? []) {
    const piece = await lintText(source, closed(source, lines.slice(from - 1, to)))
    for (const one of piece.said) said.push({ ...one, line: one.line + from - 1 })
    if (piece.unread !== null) unread.push(`lines ${from} to ${to}`)
  }
  return { said, unread: unread.length > 0 ? `${unread.join(', ')} of the diff cannot be read without the rest of the file` : null }
}

function closed({ language }: Source, lines: readonly string[]): string {
  if (language === 'python') return dedented(lines)
  if (language === 'sql') return lines.join('\n')
  let [depth, lowest] = [0, 0]
  for (const mark of lines.join('\n').match(/[{}]/g) ?? []) {
    depth += mark === '{' ? 1 : -1
    lowest = Math.min(lowest, depth)
  }
  // In a function, so that a return or an await of the middle of one is at home; on the first line, so that lines stay.
  return `async function* piece() {${'{'.repeat(-lowest)}${lines.join('\n')}\n${'}'.repeat(depth - lowest)}}`
}

function dedented(lines: readonly string[]): string {
  const written = lines.filter((line) => line.trim() !== '')
  const indent = written.reduce((least, line) => Math.min(least, /^\s*/.exec(line)?.[0].length ?? 0), Number.POSITIVE_INFINITY)
  return lines.map((line) => line.slice(indent)).join('\n')
}

async function lintText(source: Source, text: string): Promise<Lint> {
  switch (source.language) {
    case 'javascript':
    case 'typescript':
      return (await import('./javascript.ts')).lintJavascript(source.name, text, { isFragment: isFragment(source) })
    case 'python':
      return (await import('./python.ts')).lintPython(text, { isFragment: isFragment(source) })
    case 'sql':
      return (await import('./sql.ts')).lintSql(text)
    case null:
      return { said: [], unread: 'no analyser reads this language; secrets were looked for' }
  }
}

/** Of a diff only what it adds is news. */
function isNews({ added }: Source): (said: Said) => boolean {
  const news = added && new Set(added)
  return ({ line }) => news?.has(line) ?? true
}

function unique<One extends Said>(said: readonly One[]): One[] {
  return [...new Map(said.map((one) => [`${one.line} ${one.rule}`, one])).values()]
}
