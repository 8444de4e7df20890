import * as z from 'zod'
import { type Micro, micro } from './units.ts'

/** What system_config allows. */
export interface Limits {
  readonly tradingEnabled: boolean
  /** What one UTC day's trades may commit, and what may be open in one market or in one event. */
  readonly maxDailyExposure: Micro
  readonly maxPositionSize: Micro
  readonly minEdge: number
  readonly riskMode: RiskMode
  readonly scanInterval: number
  readonly coordinator: string
}

export type RiskMode = 'conservative' | 'normal' | 'aggressive'

/** What a mode changes: the part of a full Kelly stake that is taken, and how sure an opinion must be. The caps are the same in all. */
export const risk: Readonly<Record<RiskMode, { readonly kelly: number; readonly minConfidence: number }>> = {
  conservative: { kelly: 0.125, minConfidence: 0.8 },
  normal: { kelly: 0.25, minConfidence: 0.7 },
  aggressive: { kelly: 0.5, minConfidence: 0.6 },
}

const usd = z.number().min(0).max(1e9).transform(micro)
const config = z.object({
  trading_enabled: z.boolean(),
  max_daily_exposure: usd,
  max_position_size: usd,
  min_edge_threshold: z.number().min(0).default(0.1),
  risk_mode: z.enum(['conservative', 'normal', 'aggressive']).default('normal'),
  scanner_interval_minutes: z.number().min(0).default(240),
  coordinator_agent: z.string().min(1).default('coordinator-main'),
})
const row = z.object({ key: z.string(), value: z.unknown() })

/** Reads the rows of system_config. Without the three that guard money, or with a value that makes no sense, nothing may be traded: undefined. */
export function readLimits(rows: readonly unknown[]): Limits | undefined {
  const entries = z.array(row).safeParse(rows)
  if (!entries.success) return undefined
  const read = config.safeParse(Object.fromEntries(entries.data.map(({ key, value }) => [key, value])))
  if (!read.success) return undefined
  const { data } = read
  return {
    tradingEnabled: data.trading_enabled,
    maxDailyExposure: data.max_daily_exposure,
    maxPositionSize: data.max_position_size,
    minEdge: data.min_edge_threshold,
    riskMode: data.risk_mode,
    scanInterval: data.scanner_interval_minutes * 60_000,
    coordinator: data.coordinator_agent,
  }
}

/** What is committed already: by today's trades, and open in this market and in its event. */
export interface Exposure {
  readonly today: Micro
  readonly market: Micro
  readonly event: Micro
}
