import * as z from 'zod'
import { causesPrompt, causesSchema, describeAnomalies, placeCauses } from './lib/anomaly/causes.ts'
import type { Finding, Unjudged } from './lib/anomaly/detect.ts'
import { seriesOf } from './lib/anomaly/given.ts'
import { type Opinion, opinionOf } from './lib/opinion.ts'
import { defineSpecialist, evaluateByWords, type Work } from './lib/specialist.ts'

/** Ms for one series. The largest takes ten seconds of work, which are minutes at a task's low priority on a busy machine. */
const detecting = 180_000
const judged = 5

/** Finds what is unusual in time series; a model, if there is one, adds what may have caused it. */
export default defineSpecialist({
  type: 'anomaly_hunter',
  name: 'AnomalyHunter',
  description: 'Finds anomalies, changes of level and broken patterns in time series, with severity, confidence and a plot',
  capabilities: { anomaly_detection: 0.95, pattern_recognition: 0.92, data_extraction: 0.88, classification: 0.85 },
  baseRateUsd: 0.05,
  systemPrompt: 'You explain anomalies of time series to the people who run the system. You say what is a guess, and you are brief.',
  output: z.looseObject({ summary: z.string().min(1), series: z.array(z.looseObject({ name: z.string() })).min(1) }),
  evaluate: evaluateByWords({
    minutes: [2, 8],
    words: {
      ...{ anomaly: 0.95, anomalies: 0.95, 'anomaly detection': 1, outlier: 0.95, outliers: 0.95, 'time series': 0.9, timeseries: 0.9 },
      ...{ pattern: 0.6, patterns: 0.6, spike: 0.8, spikes: 0.8, drift: 0.7, 'change point': 0.9, 'change points': 0.9, seasonality: 0.85 },
      ...{ 'pattern recognition': 0.9, unusual: 0.7, deviation: 0.7, deviations: 0.7, metrics: 0.5, anomaly_detection: 1 },
    },
  }),
  async execute(job, work) {
    const given = seriesOf(job)
    if (given.length === 0) throw work.fatal('There is no series: give a CSV or JSON file, or one in the description')
    const task = new URL('./lib/anomaly/detect.ts#detect', import.meta.url)
    const results: (Finding | Unjudged)[] = []
    for (const one of given.slice(0, judged))
      results.push(await work.compute<Finding | Unjudged>(task, one, { timeout: detecting, signal: work.signal }))
    const findings = results.filter((one): one is Finding => !('unreadable' in one))
    if (findings.length === 0) throw work.fatal(results.map((one) => `${one.name}: ${(one as Unjudged).unreadable}`).join('; '))
    return { summary: summary(findings, given.length - results.length), series: results, ...explained(await explain(findings, work)) }
  },
})

type Causes = ReturnType<typeof placeCauses>

async function explain(findings: readonly Finding[], work: Work): Promise<Opinion<Causes>> {
  if (findings.every(({ anomalies }) => anomalies.length === 0)) return { value: { hypotheses: [], dropped: 0 } }
  const untrusted = { job: work.untrusted.job ?? '', anomalies: describeAnomalies(findings) }
  const said = await opinionOf(() =>
    work.step(
      'causes',
      async () => (await work.llm.object({ schema: causesSchema, prompt: causesPrompt, untrusted, temperature: 0.3 })).value,
    ),
  )
  return 'value' in said ? { value: placeCauses(findings, said.value.hypotheses) } : said
}

function explained(causes: Opinion<Causes>): Readonly<Record<string, unknown>> {
  if ('value' in causes) {
    const { hypotheses, dropped } = causes.value
    return { hypotheses, ...(dropped > 0 && { dropped: `${dropped} guesses of the model were about anomalies that are not there` }) }
  }
  return {
    hypotheses: [],
    withoutModel: `No causes were guessed, as no model answered usably (${causes.missing}). The anomalies are computed.`,
  }
}

function summary(findings: readonly Finding[], more: number): string {
  const lines = findings.map(({ name, anomalies: [worst], anomalyCount, facts, season, changes }) => {
    const grave = worst ? `; the gravest is ${worst.kind} from ${worst.start} to ${worst.end}, severity ${worst.severity} of 10` : ''
    const shape = `${season ? `a season of ${season.period} values` : 'no season'}, ${changes.length} changes of level`
    const faults = `${facts.gapCount} gaps, ${facts.duplicates} duplicates, ${facts.unreadable} unreadable rows`
    return `${name}: ${anomalyCount} anomalies in ${facts.count} values${grave}. ${shape}; ${faults}.`
  })
  return [...lines, ...(more > 0 ? [`${more} more series were not looked at.`] : [])].join('\n')
}
