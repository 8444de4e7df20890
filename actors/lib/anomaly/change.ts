import { median, quantile, sorted, spreadOf } from './robust.ts'
import type { Series } from './series.ts'

/** A place from which on the level is another one, as seen afterwards. */
export interface ChangePoint {
  readonly at: string
  readonly before: number
  readonly after: number
}

const most = 8
const smallestShare = 0.05

/** Finds the places that divide a series into stretches of different level, by repeated halving at the best place. */
export function findChanges(series: Series): ChangePoint[] {
  const values = clip(series.values)
  const cuts: number[] = []
  const smallest = Math.max(8, Math.floor(values.length * smallestShare))
  const stretches: [number, number][] = [[0, values.length]]
  while (cuts.length < most) {
    const stretch = stretches.pop()
    if (!stretch) break
    const cut = bestCut(values, stretch, smallest)
    if (cut === undefined) continue
    cuts.push(cut)
    stretches.unshift([stretch[0], cut], [cut, stretch[1]])
  }
  cuts.sort((a, b) => a - b)
  return cuts.map((cut, index) => ({
    at: series.timeAt(cut),
    before: median(values.subarray(cuts[index - 1] ?? 0, cut)),
    after: median(values.subarray(cut, cuts[index + 1] ?? values.length)),
  }))
}

/** Cuts off spikes, which would pass for a change of the mean. */
function clip(values: Float64Array): Float64Array {
  const all = sorted(values)
  const [low, high] = [quantile(all, 0.02), quantile(all, 0.98)]
  return values.map((value) => Math.min(high, Math.max(low, value)))
}

function bestCut(values: Float64Array, [from, to]: readonly [number, number], smallest: number): number | undefined {
  const part = values.subarray(from, to)
  const total = part.reduce((sum, value) => sum + value, 0)
  let best = { gain: 0, at: 0 }
  let left = 0
  for (let at = 1; at < part.length; at++) {
    left += part[at - 1] as number
    const gain = (left / at - (total - left) / (part.length - at)) ** 2 * ((at * (part.length - at)) / part.length)
    if (at >= smallest && part.length - at >= smallest && gain > best.gain) best = { gain, at }
  }
  if (best.at === 0) return undefined
  const [before, after] = [part.subarray(0, best.at), part.subarray(best.at)]
  const noise = Math.max(spreadOf(before), spreadOf(after), 1e-9)
  return Math.abs(median(after) - median(before)) > 2 * noise ? from + best.at : undefined
}
