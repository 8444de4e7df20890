import type { Context } from 'troupe/actor'
import * as z from 'zod'
import { filterArgs } from './market-args.ts'
import { sourceName } from './market-source.ts'
import type { ScanSummary } from './scan-summary.ts'

const hour = 3_600_000

/** What a scanner may be told by its config. */
export const scannerArgs = z.object({
  market: sourceName.default('auto'),
  strategies: z.array(z.enum(['complete_set', 'neg_risk', 'model_opinion'])).default(['complete_set', 'neg_risk', 'model_opinion']),
  /** On top of system_config's min_edge_threshold: the higher one counts. */
  minEdge: z.number().min(0).max(1).default(0),
  filter: filterArgs,
  /** Pages of a hundred that are read of the lists. */
  pages: z.int().min(1).max(20).default(3),
  eventPages: z.int().min(0).max(20).default(1),
  /** Of how many markets, the liveliest, the books are looked at. */
  shortList: z.int().min(1).max(500).default(40),
  /** How many markets a scan gives to the researcher at most; a model costs money. Made-up markets cost none. */
  research: z.int().min(0).max(500).default(5),
  /** Ms until a market is researched again. */
  researchEvery: z
    .number()
    .min(0)
    .default(6 * hour),
  /** Ms that an arbitrage is worth looking at. */
  expiresIn: z
    .number()
    .min(1_000)
    .default(hour / 4),
})
export type ScannerArgs = z.output<typeof scannerArgs>

/** The tables and functions of a scanner. */
export const scannerSql = ['publish_opportunity', 'trade_opportunities', 'system_config', 'v_active_jobs'] as const

/** What a scanner remembers. */
export interface ScannerState {
  /** The source that `market` stands for, as long as this thread lives. */
  readonly source: string | null
  readonly summary: ScanSummary | null
  /** The last scan in one line. */
  readonly text: string
  /** When each market was given to the researcher, ms since 1970. */
  readonly researched: Readonly<Record<string, number>>
}

export type ScannerCtx = Context<ScannerArgs, ScannerState, (typeof scannerSql)[number]>
