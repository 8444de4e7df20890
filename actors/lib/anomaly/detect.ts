import { type ChangePoint, findChanges } from './change.ts'
import { plot } from './plot.ts'
import { readSeries, type Written } from './read.ts'
import { median, spreadOf } from './robust.ts'
import { scoreSeries } from './score.ts'
import { findSeason, type Season } from './season.ts'
import type { Facts } from './series.ts'
import { findWindows, type Window } from './windows.ts'

/** What was found in one series. */
export interface Finding {
  readonly name: string
  readonly facts: Facts
  readonly median: number
  readonly spread: number
  readonly season: Season | null
  readonly changes: readonly ChangePoint[]
  /** The gravest first. */
  readonly anomalies: readonly Window[]
  /** How many there are; not all are listed. */
  readonly anomalyCount: number
  readonly plot: string
}

/** A text that could not be judged, and why. */
export interface Unjudged {
  readonly name: string
  readonly unreadable: string
}

const listed = 50
const fewest = 30

/** Judges one series. A task of the compute pool. */
export function detect({ name, ...written }: Written & { readonly name: string }): Finding | Unjudged {
  try {
    const series = readSeries(written)
    const { values, facts } = series
    if (values.length < fewest)
      return { name, unreadable: `the series has ${values.length} values, and ${fewest} are the fewest to judge by` }
    const windows = findWindows(series, scoreSeries(series))
    const gravest = windows.toSorted((a, b) => b.severity - a.severity || b.peak.score - a.peak.score)
    return {
      name,
      facts,
      median: median(values),
      spread: spreadOf(values),
      season: findSeason(values) ?? null,
      changes: findChanges(series),
      anomalies: gravest.slice(0, listed),
      anomalyCount: windows.length,
      plot: plot(series, windows, name),
    }
  } catch (error) {
    // It may name columns, and there may be a hundred thousand of them.
    return { name, unreadable: (error as Error).message.slice(0, 500) }
  }
}
