import * as z from 'zod'
import { categories, type Finding, severities } from './finding.ts'
import type { Source } from './source.ts'

/** What a model may say of code. */
export const opinionSchema = z.object({
  findings: z
    .array(
      z.object({
        file: z.string(),
        line: z.int().min(1),
        category: z.enum(categories),
        severity: z.enum(severities),
        message: z.string().min(1).max(1_000),
      }),
    )
    .max(60),
})
export type Said = z.output<typeof opinionSchema>['findings']

export const opinionPrompt = `Review the files for faults of security, performance, correctness and style, at the line where each is. Each line begins with
its number. In a diff only lines with a + are new: judge those. The findings of static analysers stand in "found"; add what they cannot see, do not repeat them.`

const longest = 150_000

/** The sources as a model reads them, by name; secrets were masked before. */
export function shownTo(sources: readonly Source[], findings: readonly Finding[]): Record<string, string> {
  const files = sources.map(
    (source, at) => [`file-${at + 1}-${source.name.replaceAll(/[^\w.-]/g, '_')}`.slice(0, 64), numbered(source)] as const,
  )
  const found = findings.map(({ file, line, rule, message }) => `${file}:${line} ${rule} ${message}`).join('\n')
  return { ...Object.fromEntries(files), found: found.slice(0, longest) || 'nothing' }
}

function numbered({ name, text, added, shown }: Source): string {
  const isNew = added && new Set(added)
  const lines = text.split('\n')
  const seen = (shown ?? [[1, lines.length] as const]).flatMap(([from, to]) =>
    lines.slice(from - 1, to).map((line, at) => `${from + at}${isNew?.has(from + at) ? '+' : ' '} ${line}`),
  )
  const whole = `${name}\n${seen.join('\n')}`
  return whole.length > longest ? `${whole.slice(0, longest)}\n[cut]` : whole
}

/** Puts what a model said beside what was found: about lines that there are, once for each line and category. */
export function merge(findings: readonly Finding[], said: Said, sources: readonly Source[]): { findings: Finding[]; dropped: number } {
  const merged = [...findings]
  let dropped = 0
  for (const { file, line, category, severity, message } of said) {
    const source = sources.find((one) => one.name === file && isJudged(one, line))
    if (!source) {
      dropped += 1
      continue
    }
    const at = merged.findIndex((one) => one.file === file && one.line === line && one.category === category)
    const before = merged[at]
    if (before) merged[at] = { ...before, message: `${before.message}. ${message}`, by: [...new Set([...before.by, 'model'])] }
    else {
      const excerpt = (source.text.split('\n')[line - 1] ?? '').trim().slice(0, 200)
      merged.push({ file, line, rule: 'model', category, severity, message, excerpt, by: ['model'] })
    }
  }
  return { findings: merged, dropped }
}

function isJudged({ added, text }: Source, line: number): boolean {
  return added ? added.includes(line) : line <= text.split('\n').length
}
