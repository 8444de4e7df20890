import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readSeries } from '../actors/lib/anomaly/read.ts'
import { scoreSeries } from '../actors/lib/anomaly/score.ts'
import { findWindows } from '../actors/lib/anomaly/windows.ts'
import { type Labelled, normalized, type Outcome, readLabelled, score } from './nab.ts'
import { type Figure, say } from './report.ts'

const folder = join(process.env.TROUPE_RECORDED ?? join(import.meta.dirname, '../../shared/data'), 'nab')
const thresholds = [2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10, 12]
const advantage = 1.5

/** Scores AnomalyHunter's detector, and a plain z-score beside it with the threshold that suits it best on the same series. */
export async function benchAnomaly(): Promise<Figure[]> {
  if (!existsSync(folder)) throw new Error(`The series of the Numenta Anomaly Benchmark are not in ${folder}`)
  const series = readLabelled(folder)
  say(`${series.length} series; a score is from 0 (never alarms) to 100 (perfect), below 0 for many false alarms`)
  const started = performance.now()
  const ours = series.map((one) => score(one, alarmsOf(one)))
  const seconds = (performance.now() - started) / 1_000
  const plain = thresholds.map((threshold) => ({ threshold, outcomes: series.map((one) => score(one, plainAlarms(one, threshold))) }))
  const best = plain.reduce((one, other) => (normalized(other.outcomes) > normalized(one.outcomes) ? other : one))
  const usual = plain.find(({ threshold }) => threshold === 3) ?? best
  const total = normalized(ours)
  return [
    ...ours.map((outcome, at) => figureOf(outcome, best.outcomes[at] as Outcome)),
    { name: 'plain z-score above 3, total', value: normalized(usual.outcomes), unit: 'points', note: counts(usual.outcomes) },
    {
      name: `plain z-score above ${best.threshold}, its best, total`,
      value: normalized(best.outcomes),
      unit: 'points',
      note: counts(best.outcomes),
    },
    { name: 'AnomalyHunter, total', value: total, unit: 'points', aim: { min: advantage * normalized(best.outcomes) }, note: counts(ours) },
    { name: 'time for all series', value: seconds, unit: 's' },
  ]
}

function alarmsOf({ text }: Labelled): number[] {
  const series = readSeries({ text })
  // A window is announced when it begins; the benchmark takes the position of the row.
  return findWindows(series, scoreSeries(series)).map(({ from }) => positionOf(text, series.timeAt(from)))
}

function positionOf(text: string, time: string): number {
  const wanted = time.slice(0, 19).replace('T', ' ')
  return text
    .split('\n')
    .slice(1)
    .findIndex((row) => row.startsWith(wanted))
}

/** The distance of each value from the mean of all before it, in their standard deviations. */
function plainAlarms({ values }: Labelled, threshold: number): number[] {
  let [sum, squares] = [0, 0]
  const alarms: number[] = []
  for (const [at, value] of values.entries()) {
    const mean = sum / Math.max(1, at)
    const deviation = Math.sqrt(Math.max(0, squares / Math.max(1, at) - mean * mean))
    if (at > 1 && Math.abs(value - mean) > threshold * Math.max(deviation, 1e-9)) alarms.push(at)
    sum += value
    squares += value * value
  }
  return alarms
}

function figureOf({ name, raw, windows, found, falseAlarms }: Outcome, plain: Outcome): Figure {
  const note = `${found} of ${windows} windows, ${falseAlarms} false alarms; the plain one ${plain.raw.toFixed(2)}`
  return { name, value: raw, unit: `of ${windows}`, note }
}

function counts(outcomes: readonly Outcome[]): string {
  const sum = (of: (one: Outcome) => number) => outcomes.reduce((all, one) => all + of(one), 0)
  return `${sum(({ found }) => found)} of ${sum(({ windows }) => windows)} windows, ${sum(({ falseAlarms }) => falseAlarms)} false alarms`
}
