import * as z from 'zod'
import { type Micro, onePrice, type Price, type Shares } from './units.ts'

/** What a taker pays: shares × rate × (price × (1 − price)) ^ exponent. */
export interface Fees {
  /** Millionths. */
  readonly rate: number
  readonly exponent: number
}

/** The schedule of a market without fees. */
export const noFees: Fees = { rate: 0, exponent: 1 }

const schedule = z.object({ rate: z.number().min(0).max(1), exponent: z.int().min(0).max(4) })

/**
 * Reads a market's schedule. `takerBaseFee` and `makerBaseFee` are old numbers that nobody is charged. Fees that are on without a
 * schedule, or with one that cannot be computed exactly, are unknown, and such a market is not traded.
 */
export function readFees(enabled: unknown, stated: unknown): Fees | 'unknown' {
  if (stated === undefined || stated === null) return enabled === true ? 'unknown' : noFees
  const read = schedule.safeParse(stated)
  if (!read.success) return 'unknown'
  return { rate: Math.round(read.data.rate * 1_000_000), exponent: read.data.exponent }
}

/** The fee of one fill, rounded up to the fifth decimal of a dollar, in which the exchange collects it. */
export function feeOf(fees: Fees, price: Price, shares: Shares): Micro {
  if (fees.rate === 0 || shares === 0) return 0
  const one = BigInt(onePrice)
  const variance = BigInt(price) * (one - BigInt(price))
  const exponent = BigInt(fees.exponent)
  const value = BigInt(shares) * BigInt(fees.rate) * variance ** exponent
  // Shares are hundredths, the rate millionths, the result tens of micro-dollars: 100 × 10^6 / 10^5.
  const unit = 1_000n * (one * one) ** exponent
  return Number((value + unit - 1n) / unit) * 10
}
