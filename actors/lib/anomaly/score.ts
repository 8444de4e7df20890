import { movingDeviations, movingMeans, quantile, sorted } from './robust.ts'
import { findSeason } from './season.ts'
import type { Series } from './series.ts'

/** What is unusual at a place. */
export type Kind = 'spike' | 'dip' | 'level_up' | 'level_down' | 'volatility_up' | 'volatility_down' | 'pattern_break'

/** How unusual each value is, judged by the values before it alone; above 1 is an alarm. */
export interface Scores {
  readonly scores: Float64Array
  readonly kinds: readonly Kind[]
}

type Feature = {
  readonly values: Float64Array
  /** The series itself, where the feature's own range says too little. */
  readonly whole?: Float64Array
  readonly length: number
  readonly limit: number
  readonly up: Kind
  readonly down: Kind
}

/** One setting for every series. Lengths are in values; a limit is how far outside of its usual range a feature has to be, in widths of that range. */
const setting = {
  /** The share of the past on either side that does not count as usual. */
  outside: 0.02,
  /** The usual range is at least this share of the level, so that a constant series does not alarm at its first tremor. */
  tremor: 0.02,
  point: { length: 1, limit: 1 },
  means: [12, 48],
  deviations: [48, 144],
  limit: 0.5,
  seasonal: { length: 12, limit: 0.75 },
  /** What remains beside a season is judged by at least this share of the series' own range: beside a clean one nearly nothing remains. */
  remains: 0.1,
  fewest: 20,
  /** From so many values on what is usual hardly changes any more. */
  long: 30_000,
} as const

/** Scores a series in one pass; no score depends on a later value. */
export function scoreSeries(series: Series): Scores {
  const { values } = series
  const scores = new Float64Array(values.length)
  const kinds: Kind[] = new Array(values.length).fill('spike')
  for (const feature of features(series)) {
    const distances = distancesFromUsual(feature)
    for (let at = 0; at < values.length; at++) {
      const score = Math.abs(distances[at] as number) / feature.limit
      // Features go from the simplest on: what a simple one tells is called by it, however loud the others are.
      if (score > (scores[at] as number) && (scores[at] as number) <= 1)
        kinds[at] = (distances[at] as number) > 0 ? feature.up : feature.down
      scores[at] = Math.max(score, scores[at] as number)
    }
  }
  return { scores, kinds }
}

function features(series: Series): Feature[] {
  const { values } = series
  const { point, limit, seasonal } = setting
  const residuals = movingMeans(seasonalResiduals(series), seasonal.length)
  return [
    { values, ...point, up: 'spike', down: 'dip' },
    ...setting.means.map((length): Feature => ({ values: movingMeans(values, length), length, limit, up: 'level_up', down: 'level_down' })),
    ...setting.deviations.map(
      (length): Feature => ({ values: movingDeviations(values, length), length, limit, up: 'volatility_up', down: 'volatility_down' }),
    ),
    { values: residuals, whole: values, ...seasonal, up: 'pattern_break', down: 'pattern_break' },
  ]
}

/** How far each value lies outside of what its past took for usual, in widths of the usual; the sign says on which side. */
function distancesFromUsual({ values, whole, length }: Feature): Float64Array {
  const distances = new Float64Array(values.length)
  let [low, high, width, next] = [0, 0, 1, setting.fewest]
  for (let at = setting.fewest; at < values.length; at++) {
    if (at >= next) {
      const past = sorted(values.subarray(0, at))
      low = quantile(past, setting.outside)
      high = quantile(past, 1 - setting.outside)
      const least = whole ? setting.remains * rangeOf(sorted(whole.subarray(0, at))) : Math.abs(quantile(past, 0.5)) * setting.tremor
      width = Math.max(high - low, least, 1e-9)
      // The longer the past, the rarer: sorting it every time would make long series slow.
      next = at + Math.max(24, Math.floor(at / (at < setting.long ? 50 : 10)))
    }
    if (at <= length) continue
    const value = values[at] as number
    distances[at] = value > high ? (value - high) / width : value < low ? (value - low) / width : 0
  }
  return distances
}

function rangeOf(past: Float64Array): number {
  return quantile(past, 1 - setting.outside) - quantile(past, setting.outside)
}

/** What remains of each value beside the median of the same place in up to three earlier rounds; 0 while no season is known. */
function seasonalResiduals({ values, slots }: Series): Float64Array {
  const residuals = new Float64Array(values.length)
  const bySlot = new Map<number, number>()
  let [period, next] = [0, 200]
  for (let at = 0; at < values.length; at++) {
    if (at >= next) {
      period = findSeason(values.subarray(0, at))?.period ?? 0
      next = Math.ceil(at * 1.3)
    }
    const slot = slots[at] as number
    if (period > 0)
      residuals[at] = residual(
        values[at] as number,
        [1, 2, 3].map((round) => bySlot.get(slot - round * period)),
      )
    bySlot.set(slot, values[at] as number)
  }
  return residuals
}

function residual(value: number, earlier: readonly (number | undefined)[]): number {
  const known = earlier.filter((one) => one !== undefined).sort((a, b) => a - b)
  // With two rounds the nearer one counts, or a single odd round would make the next look odd.
  const [first = value, second = first] = known
  if (known.length === 3) return value - second
  return Math.abs(value - first) < Math.abs(value - second) ? value - first : value - second
}
