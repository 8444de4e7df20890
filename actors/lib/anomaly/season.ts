/** A pattern that repeats. */
export interface Season {
  /** How many values one round has. */
  readonly period: number
  /** The correlation of the series with itself one round later, at most 1. */
  readonly strength: number
}

const most = 4_000
const weakest = 0.4
const shortest = 4

/** Finds the strongest period of which at least three rounds lie in the last values, if there is any. */
export function findSeason(values: Float64Array): Season | undefined {
  const recent = differFromMean(values.subarray(Math.max(0, values.length - most)))
  const correlations = correlate(recent, Math.floor(recent.length / 3))
  let best: Season | undefined
  for (let lag = shortest; lag < correlations.length - 1; lag++) {
    const here = correlations[lag] as number
    const isPeak = here > (correlations[lag - 1] as number) && here >= (correlations[lag + 1] as number)
    // Multiples of a period correlate as well as the period itself: a longer one has to be clearly better.
    if (isPeak && here >= weakest && here > (best?.strength ?? 0) + 0.05) best = { period: lag, strength: here }
  }
  // A trend correlates at every lag; a season has a valley before its peak.
  if (!best || Math.min(...correlations.subarray(1, best.period)) > best.strength - 0.2) return undefined
  return best
}

function differFromMean(values: Float64Array): Float64Array {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  return values.map((value) => value - mean)
}

function correlate(values: Float64Array, lags: number): Float64Array {
  const power = values.reduce((sum, value) => sum + value * value, 0)
  const correlations = new Float64Array(Math.max(0, lags))
  if (power === 0) return correlations
  for (let lag = 1; lag < lags; lag++) {
    let sum = 0
    for (let at = lag; at < values.length; at++) sum += (values[at] as number) * (values[at - lag] as number)
    correlations[lag] = (sum / power) * (values.length / (values.length - lag))
  }
  return correlations
}
