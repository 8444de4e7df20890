import type { Kind, Scores } from './score.ts'
import type { Series } from './series.ts'

/** A stretch of a series that is not as usual. */
export interface Window {
  /** ISO times, or positions for a series without times. */
  readonly start: string
  readonly end: string
  /** Positions in the cleaned series. */
  readonly from: number
  readonly to: number
  readonly kind: Kind
  readonly severity: number
  readonly confidence: number
  readonly peak: { readonly at: string; readonly value: number; readonly score: number }
}

/** After an alarm nothing within this share of the series is another one. */
const hold = 0.02
const fewest = 100
const mostOfSpike = 6
/** How much of a series is for learning what is usual: this share, at most so many values. */
const probation = { share: 0.15, most: 750 } as const

/** Joins neighbouring alarms to windows, in the order of time. */
export function findWindows(series: Series, { scores, kinds }: Scores): Window[] {
  const reach = Math.max(1, Math.floor(series.values.length * hold))
  const spans: { from: number; to: number }[] = []
  const learnt = Math.floor(Math.min(probation.share * scores.length, probation.most))
  for (let at = learnt; at < scores.length; at++) {
    if ((scores[at] as number) <= 1) continue
    const last = spans.at(-1)
    if (last && at - last.to <= reach) last.to = at
    else spans.push({ from: at, to: at })
  }
  return spans.map(({ from, to }) => describe(series, { scores, kinds }, { from, to }))
}

function describe(series: Series, judged: Scores, { from, to }: { from: number; to: number }): Window {
  const positions = Array.from({ length: to - from + 1 }, (_, at) => from + at)
  const loudest = (among: readonly number[]) => among.reduce((one, other) => (scoreAt(judged, other) > scoreAt(judged, one) ? other : one))
  const points = positions.filter((at) => isPoint(judged.kinds[at]) && scoreAt(judged, at) > 1)
  const top = loudest(points.length > 0 && points.length <= mostOfSpike ? points : positions)
  const score = scoreAt(judged, loudest(positions))
  return {
    start: series.timeAt(from),
    end: series.timeAt(to),
    from,
    to,
    kind: kindOf(judged.kinds, points, top),
    severity: severity(score, to - from + 1, series.values.length),
    confidence: confidence(score, from),
    peak: { at: series.timeAt(top), value: series.values[top] as number, score: Math.round(score * 100) / 100 },
  }
}

const scoreAt = ({ scores }: Scores, at: number) => scores[at] as number
const isPoint = (kind: Kind | undefined) => kind === 'spike' || kind === 'dip'

/** A few values that stand out are a spike; many are another level, whatever each of them is called alone. */
function kindOf(kinds: readonly Kind[], points: readonly number[], top: number): Kind {
  const [first] = points
  if (first === undefined || points.length <= mostOfSpike) return kinds[top] as Kind
  return kinds[first] === 'spike' ? 'level_up' : 'level_down'
}

/** From 1 to 10: each doubling of the score is worth 2, a tenth of the whole series 1. */
function severity(score: number, length: number, whole: number): number {
  return Math.min(10, Math.max(1, Math.round(2 + 2 * Math.log2(score) + (10 * length) / whole)))
}

/** How sure an alarm is, from 0 to 1: a rank, no probability. A short past makes it less sure. */
function confidence(score: number, past: number): number {
  return Math.round((1 - 0.5 / score) * Math.min(1, Math.max(0.3, past / fewest)) * 100) / 100
}
