import type { Finding } from '../markets/strategies/strategy.ts'

/** What a scan came to, for people and for whoever asks with the message `summary`. */
export interface ScanSummary {
  /** How the source can be opened again: polymarket, replay:<folder>, simulated:<seed>. */
  readonly source: string
  readonly isSimulated: boolean
  readonly detail: string
  /** Ms since 1970. */
  readonly at: number
  /** Markets that were seen, and how many of them could be traded. */
  readonly markets: number
  readonly tradable: number
  /** The best edge that any strategy could compute, after costs; a loss is one too. */
  readonly bestEdge: number | null
  readonly opportunities: number
  /** How many markets somebody is to form an opinion of. */
  readonly research: number
  readonly skipped: Readonly<Record<string, number>>
}

/** Counts words. */
export function tally(words: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1
  return counts
}

/** The best edge of all findings that have one. */
export function bestEdgeOf(findings: readonly Finding[]): number | null {
  const edges = findings.map(({ edge }) => edge).filter((edge) => edge !== undefined)
  return edges.length === 0 ? null : Math.max(...edges)
}

/** A summary in one line, such as "214 markets, best edge -0.4 %, no trade". */
export function textOf({ markets, bestEdge, opportunities, research, isSimulated }: ScanSummary): string {
  const found = opportunities === 0 ? 'no trade' : opportunities === 1 ? '1 opportunity' : `${opportunities} opportunities`
  return [
    `${markets}${isSimulated ? ' simulated' : ''} markets`,
    bestEdge === null ? 'no edge to compute' : `best edge ${(bestEdge * 100).toFixed(1)} %`,
    found,
    ...(research === 0 ? [] : [`${research} to research`]),
  ].join(', ')
}
