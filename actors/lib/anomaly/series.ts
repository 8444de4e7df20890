/** A series as it is judged: in the order of time, one value for each time. */
export interface Series {
  readonly values: Float64Array
  /** The place of each value on an even grid of time, so that a gap shifts no season. */
  readonly slots: Float64Array
  /** How the place of a value is written: an ISO time, or the position. */
  timeAt(position: number): string
  readonly facts: Facts
}

/** What the input was like. */
export interface Facts {
  readonly count: number
  /** The usual ms between two values; null without times. */
  readonly step: number | null
  readonly duplicates: number
  readonly unreadable: number
  /** The longest first, at most 20. */
  readonly gaps: readonly { readonly after: string; readonly missing: number }[]
  readonly gapCount: number
}

/** One value as it was read; a time of undefined means that there are none. */
export type Point = { readonly time: number | undefined; readonly value: number }

const listed = 20

/** Orders points by time, joins those of one time by their median, and finds what is missing. */
export function makeSeries(points: readonly Point[], unreadable: number): Series {
  const isTimed = points.length > 0 && points.every(({ time }) => time !== undefined)
  if (!isTimed) return untimed(points, unreadable)
  const byTime = Map.groupBy(points, ({ time }) => time as number)
  const times = Float64Array.from(byTime.keys()).sort()
  const values = times.map((time) => middle((byTime.get(time) ?? []).map(({ value }) => value)))
  const step = usualStep(times)
  const slots = times.map((time) => Math.round((time - (times[0] as number)) / step))
  const timeAt = (position: number) => new Date(times[position] as number).toISOString()
  const gaps = findGaps(slots, timeAt)
  return {
    values,
    slots,
    timeAt,
    facts: {
      count: values.length,
      step,
      duplicates: points.length - values.length,
      unreadable,
      gaps: gaps.sort((a, b) => b.missing - a.missing).slice(0, listed),
      gapCount: gaps.length,
    },
  }
}

function untimed(points: readonly Point[], unreadable: number): Series {
  const values = Float64Array.from(points, ({ value }) => value)
  return {
    values,
    slots: values.map((_, at) => at),
    timeAt: String,
    facts: { count: values.length, step: null, duplicates: 0, unreadable, gaps: [], gapCount: 0 },
  }
}

function usualStep(times: Float64Array): number {
  const steps = times.slice(1).map((time, at) => time - (times[at] as number))
  return Math.max(1, middle([...steps]))
}

function findGaps(slots: Float64Array, timeAt: (position: number) => string): { after: string; missing: number }[] {
  const gaps: { after: string; missing: number }[] = []
  for (let at = 1; at < slots.length; at++) {
    const missing = (slots[at] as number) - (slots[at - 1] as number) - 1
    if (missing > 0) gaps.push({ after: timeAt(at - 1), missing })
  }
  return gaps
}

function middle(values: readonly number[]): number {
  const ordered = values.toSorted((a, b) => a - b)
  return ordered[ordered.length >> 1] ?? 0
}
