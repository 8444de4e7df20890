import * as z from 'zod'
import { opinionOf } from './lib/opinion.ts'
import type { Analysis } from './lib/review/analyse.ts'
import { categories, type Finding, severities } from './lib/review/finding.ts'
import { sourcesOf } from './lib/review/given.ts'
import { merge, opinionPrompt, opinionSchema, shownTo } from './lib/review/opinion.ts'
import { masker } from './lib/review/secrets.ts'
import { defineSpecialist, evaluateByWords, type Work } from './lib/specialist.ts'

const analysing = 60_000
const files = 100
const listed = 200

/** Reviews code and diffs: static analysers find what rules can find, a model, if there is one, adds the rest. */
export default defineSpecialist({
  type: 'code_reviewer',
  job: 'code_review',
  name: 'CodeReviewer',
  description: 'Reviews diffs and files of TypeScript, JavaScript, Python and SQL for security, performance, correctness and style',
  capabilities: { code_review: 0.94, security_analysis: 0.9, code_generation: 0.85 },
  baseRateUsd: 0.03,
  systemPrompt: 'You review code. You report faults that you can name a consequence of, at the line where they are, and nothing else.',
  output: z.looseObject({
    summary: z.string().min(1),
    findings: z.array(
      z.looseObject({ file: z.string(), line: z.int(), rule: z.string(), category: z.enum(categories), severity: z.enum(severities) }),
    ),
  }),
  evaluate: evaluateByWords({
    words: {
      ...{
        'code review': 1,
        review: 0.7,
        'pull request': 0.9,
        diff: 0.85,
        'security review': 0.95,
        'security analysis': 0.95,
        vulnerability: 0.9,
      },
      ...{ vulnerabilities: 0.9, 'sql injection': 0.95, xss: 0.9, refactor: 0.6, bug: 0.7, bugs: 0.7, lint: 0.7, 'code quality': 0.85 },
      ...{ 'static analysis': 0.9, typescript: 0.5, javascript: 0.5, python: 0.5, code_review: 1, 'best practices': 0.6 },
    },
  }),
  async execute(job, work) {
    const given = sourcesOf(job)
    const sources = given.slice(0, files)
    if (sources.length === 0) throw work.fatal('There is no code: give files or a diff, or a fenced block in the description')
    const task = new URL('./lib/review/analyse.ts#analyse', import.meta.url)
    const analysis = await work.compute<Analysis>(task, sources, { timeout: analysing, signal: work.signal })
    const { findings, ...said } = await reviewed(analysis, work)
    const ordered = findings.toSorted((a, b) => rank(a) - rank(b) || a.file.localeCompare(b.file) || a.line - b.line)
    return {
      summary: summary(ordered, analysis, { files: sources.length, more: given.length - sources.length }),
      findings: ordered.slice(0, listed),
      findingCount: ordered.length + analysis.left,
      unread: analysis.unread,
      ...said,
    }
  },
})

/** Neither the model nor the result sees a secret: what the model says is masked too, as the job's own words may hold one. */
async function reviewed({ findings, masked, secrets }: Analysis, work: Work) {
  const mask = masker(secrets.map((value) => ({ value })))
  const untrusted = { job: mask(work.untrusted.job ?? ''), ...shownTo(masked, findings) }
  const said = await opinionOf(() =>
    work.step(
      'opinion',
      async () => (await work.llm.object({ schema: opinionSchema, prompt: opinionPrompt, untrusted, temperature: 0.3 })).value,
    ),
  )
  if ('missing' in said) {
    const withoutModel = `This is the analysers' review alone, as no model answered usably (${mask(said.missing)}).`
    return { findings, withoutModel }
  }
  const { findings: all, dropped } = merge(findings, said.value.findings, masked)
  const note = dropped > 0 && { dropped: `${dropped} remarks of the model were about lines that are not under review` }
  return { findings: all.map((one) => ({ ...one, message: mask(one.message) })), ...note }
}

function rank({ severity }: Finding): number {
  return severities.indexOf(severity)
}

function summary(findings: readonly Finding[], { left, unread }: Analysis, count: { files: number; more: number }): string {
  const counts = categories.map((category) => `${findings.filter((one) => one.category === category).length} ${category}`).join(', ')
  const high = findings.filter(({ severity }) => severity === 'high').length
  const notes = [
    left > 0 && ` ${left} more, none graver, were found.`,
    unread.length > 0 && ` ${unread.length} files could not be read in full by an analyser.`,
    count.more > 0 && ` ${count.more} more files were not looked at.`,
  ]
  const all = `${findings.length} findings in ${count.files} files, ${high} of them high: ${counts}.`
  return [all, ...notes.filter((note) => note !== false)].join('')
}
