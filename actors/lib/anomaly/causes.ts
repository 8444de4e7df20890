import * as z from 'zod'
import type { Finding } from './detect.ts'

/** What a model may say about anomalies: guesses, each with a way to check it. */
export const causesSchema = z.object({
  hypotheses: z
    .array(
      z.object({
        anomaly: z.int().describe('the number of the anomaly in the list'),
        cause: z.string().min(1).max(500),
        check: z.string().max(500).describe('how to find out whether it is so'),
        confidence: z.number().min(0).max(1),
      }),
    )
    .max(30),
})
export type Hypothesis = z.output<typeof causesSchema>['hypotheses'][number]

const asked = 12

export const causesPrompt = `The list "anomalies" was found by statistics; do not add or drop any. For each, give at most two hypotheses of what may have
caused it in the system that the series comes from, and how to check them. The job says what the series is.`

/** What the model sees: the gravest anomalies of all series, numbered; never the series itself. */
export function describeAnomalies(findings: readonly Finding[]): string {
  const lines = gravest(findings).map(
    ({ name, anomaly: { kind, start, end, severity, peak } }, at) =>
      `${at}: ${name}: ${kind} from ${start} to ${end}, severity ${severity}, peak ${peak.value} at ${peak.at}`,
  )
  const changes = findings.flatMap(({ name, changes }) =>
    changes.map(({ at, before, after }) => `${name}: level ${before} becomes ${after} at ${at}`),
  )
  return [...lines, ...changes].join('\n')
}

/** Puts each hypothesis beside what it is about; one about no anomaly of the list is dropped and counted. */
export function placeCauses(findings: readonly Finding[], said: readonly Hypothesis[]) {
  const list = gravest(findings)
  const hypotheses = said.flatMap(({ anomaly, ...said }) => {
    const about = list[anomaly]
    return about ? [{ series: about.name, start: about.anomaly.start, ...said }] : []
  })
  return { hypotheses, dropped: said.length - hypotheses.length }
}

function gravest(findings: readonly Finding[]) {
  return findings
    .flatMap(({ name, anomalies }) => anomalies.map((anomaly) => ({ name, anomaly })))
    .toSorted((a, b) => b.anomaly.severity - a.anomaly.severity)
    .slice(0, asked)
}
