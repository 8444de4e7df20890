/** Returns a sorted copy. */
export function sorted(values: ArrayLike<number>): Float64Array {
  return Float64Array.from(values).sort()
}

/** Returns the value below which a share of the sorted values lies; 0 for none. */
export function quantile(values: Float64Array, share: number): number {
  return values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? 0
}

export function median(values: ArrayLike<number>): number {
  return quantile(sorted(values), 0.5)
}

/** Returns the median distance from the median, scaled so that it equals the standard deviation of normal noise. */
export function spreadOf(values: ArrayLike<number>): number {
  const middle = median(values)
  return 1.4826 * median(Float64Array.from(values, (value) => Math.abs(value - middle)))
}

/** Returns the means of the last `length` values at each place, fewer at the start. */
export function movingMeans(values: ArrayLike<number>, length: number): Float64Array {
  const means = new Float64Array(values.length)
  const origin = values[0] ?? 0
  let sum = 0
  for (let at = 0; at < values.length; at++) {
    sum += (values[at] as number) - origin - (at >= length ? (values[at - length] as number) - origin : 0)
    means[at] = origin + sum / Math.min(at + 1, length)
  }
  return means
}

/** Returns the standard deviations of the last `length` values at each place. */
export function movingDeviations(values: ArrayLike<number>, length: number): Float64Array {
  const means = movingMeans(values, length)
  // Around each window's own mean: the difference of two running sums would drown in their rounding.
  return Float64Array.from(means, (mean, at) => {
    const from = Math.max(0, at - length + 1)
    let squares = 0
    for (let other = from; other <= at; other++) squares += ((values[other] as number) - mean) ** 2
    return Math.sqrt(squares / (at - from + 1))
  })
}
