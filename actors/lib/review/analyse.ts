import type { Finding, Said } from './finding.ts'
import type { Lint } from './javascript.ts'
import { findSecrets, masker } from './secrets.ts'
import { isFragment, type Source } from './source.ts'

/** What the analysers found, and the sources as others may see them. */
export interface Analysis {
  readonly findings: readonly Finding[]
  /** What was not read by an analyser, and why. */
  readonly unread: readonly { readonly file: string; readonly reason: string }[]
  /** The sources without their secrets. */
  readonly masked: readonly Source[]
  /** What a masked text has instead of the secrets; needed to mask whatever else is said of them. */
  readonly secrets: readonly string[]
}

const analysers = { javascript: 'eslint', typescript: 'eslint', python: 'ruff', sql: 'sql' } as const

/** Judges sources. A task of the compute pool: each analyser is loaded when its language comes for the first time. */
export async function analyse(sources: readonly Source[]): Promise<Analysis> {
  const secrets = sources.flatMap(({ text }) => findSecrets(text))
  const mask = masker(secrets)
  const findings: Finding[] = []
  const unread: { file: string; reason: string }[] = []
  for (const source of sources) {
    const { name, text, language } = source
    const lines = text.split('\n')
    const place = (by: string) => (said: Said) => ({
      ...{ file: name, line: said.line, rule: said.rule, category: said.category, severity: said.severity },
      ...{
        message: mask(said.message),
        excerpt: mask(lines[said.line - 1] ?? '')
          .trim()
          .slice(0, 200),
        by: [by],
      },
    })
    findings.push(...findSecrets(text).map(place('secrets')))
    const { said, unread: reason } = await lint(source)
    if (language !== null) findings.push(...said.map(place(analysers[language])))
    if (reason !== null) unread.push({ file: name, reason: mask(reason) })
  }
  const masked = sources.map((source) => ({ ...source, text: mask(source.text) }))
  return { findings: unique(findings.filter(isNews(sources))), unread, masked, secrets: secrets.map(({ value }) => value) }
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
    said.push(...piece.said.map((one) => ({ ...one, line: one.line + from - 1 })))
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
  const indents = lines.filter((line) => line.trim() !== '').map((line) => /^\s*/.exec(line)?.[0].length ?? 0)
  const indent = Math.min(...indents)
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
function isNews(sources: readonly Source[]): (finding: Finding) => boolean {
  const added = new Map(sources.map(({ name, added }) => [name, added && new Set(added)]))
  return ({ file, line }) => added.get(file)?.has(line) ?? true
}

function unique(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((one) => [`${one.file} ${one.line} ${one.rule}`, one])).values()]
}
