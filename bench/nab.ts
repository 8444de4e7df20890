import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A labelled series: its rows, and the windows of positions in which something is wrong. */
export interface Labelled {
  readonly name: string
  readonly text: string
  readonly values: Float64Array
  readonly windows: readonly (readonly [from: number, to: number])[]
}

/** How a detector did on one series. */
export interface Outcome {
  readonly name: string
  /** The sum of what its alarms earned and lost. */
  readonly raw: number
  readonly windows: number
  readonly found: number
  readonly falseAlarms: number
}

/** The weights of the benchmark's standard profile. */
const weights = { found: 1, missed: 1, falseAlarm: 0.11 } as const
const probation = { share: 0.15, most: 750 } as const

/** Reads all series of a folder; labels without a series are skipped. */
export function readLabelled(folder: string): Labelled[] {
  const labels: Record<string, [string, string][]> = JSON.parse(readFileSync(join(folder, 'labels/combined_windows.json'), 'utf8'))
  const data = join(folder, 'data')
  const names = readdirSync(data).flatMap((group) => readdirSync(join(data, group)).map((file) => `${group}/${file}`))
  return names.toSorted().map((name) => {
    const text = readFileSync(join(data, name), 'utf8')
    const rows = text.trim().split('\n').slice(1)
    const times = rows.map((row) => row.slice(0, row.indexOf(',')))
    const values = Float64Array.from(rows, (row) => Number(row.slice(row.indexOf(',') + 1)))
    // Times of one form compare as text; the labels have a fraction of zeros more.
    const windows = (labels[name] ?? []).map(([start, end]): [number, number] => [
      times.findIndex((time) => time >= start.slice(0, 19)),
      times.findLastIndex((time) => time <= end.slice(0, 19)),
    ])
    return { name, text, values, windows }
  })
}

/** The first position that counts: what comes before is for learning. */
export function probationOf(count: number): number {
  return Math.floor(Math.min(probation.share * count, probation.most))
}

/**
 * Scores alarms as the Numenta Anomaly Benchmark does (Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms",
 * ICMLA 2015, section III): the earliest alarm in a window earns up to 1, the earlier the more, each alarm outside costs up to
 * 0.11, the farther behind a window the more, and each window without an alarm costs 1.
 */
export function score({ name, values, windows }: Labelled, alarms: readonly number[]): Outcome {
  const start = probationOf(values.length)
  const judged = windows.filter(([, to]) => to >= start)
  const earned = judged.map(() => -weights.missed as number)
  let [lost, falseAlarms] = [0, 0]
  for (const at of alarms.filter((alarm) => alarm >= start)) {
    const inside = judged.findIndex(([from, to]) => at >= from && at <= to)
    const [from, to] = judged[inside] ?? [0, 0]
    if (inside >= 0) earned[inside] = Math.max(earned[inside] ?? 0, reward(-(to - at + 1) / (to - from + 1)) / reward(-1))
    else {
      falseAlarms += 1
      lost += weights.falseAlarm * penalty(judged, at)
    }
  }
  const raw = earned.reduce((sum, one) => sum + one, 0) + lost
  return { name, raw, windows: judged.length, found: earned.filter((one) => one > -weights.missed).length, falseAlarms }
}

/** From 0 for a detector that never alarms to 100 for one that alarms at the start of each window and nowhere else. */
export function normalized(outcomes: readonly Outcome[]): number {
  const windows = outcomes.reduce((sum, one) => sum + one.windows, 0)
  const raw = outcomes.reduce((sum, one) => sum + one.raw, 0)
  return (100 * (raw + weights.missed * windows)) / ((weights.found + weights.missed) * windows)
}

/** The sigmoid of the paper's equation: nearly 1 at a window's left end, 0 at its right end, nearly -1 far behind it. */
function reward(position: number): number {
  return position > 3 ? -1 : 2 / (1 + Math.exp(5 * position)) - 1
}

function penalty(windows: Labelled['windows'], at: number): number {
  const before = windows.findLast(([, to]) => to < at)
  return before ? reward((at - before[1]) / (before[1] - before[0])) : -1
}
