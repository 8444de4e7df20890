import * as z from 'zod'

const text = z.string().max(1_000_000)

/**
 * A specialist's work, from a marketplace or from `troupe jobs add`. Everything may be left out: a file alone is work for who reads
 * files.
 */
export const specialistJob = z.looseObject({
  title: text.default(''),
  description: text.default(''),
  capabilities: z.array(z.string()).default([]),
  files: z.array(z.object({ name: z.string().max(300), text })).default([]),
  budgetUsd: z.number().nullable().default(null),
  /** Ms since 1970 after which nobody needs it any more. */
  deadline: z.number().nullable().default(null),
  /** Where it comes from; null for work that was given here. */
  origin: z.object({ gateway: z.string(), key: z.string(), jobId: z.string() }).nullable().default(null),
})
export type SpecialistJob = Readonly<z.output<typeof specialistJob>>

/** What a job offers: the poster's budget, what the agent takes at least, and the minutes there are; null: nobody said. */
export interface Budget {
  readonly usd: number | null
  readonly baseRateUsd: number
  readonly minutes: number | null
}

/** What a specialist thinks of a job. */
export const evaluation = z.object({
  canComplete: z.boolean(),
  confidence: z.number().min(0).max(1),
  priceUsd: z.number().nonnegative(),
  minutes: z.number().positive(),
  reason: z.string(),
})
export type Evaluation = z.output<typeof evaluation>

/** What a specialist says of itself to its gateway. */
export const profile = z.object({
  agent: z.string(),
  type: z.string(),
  /** The job type of its work. */
  job: z.string(),
  name: z.string(),
  description: z.string(),
  capabilities: z.record(z.string(), z.number().min(0).max(1)),
  baseRateUsd: z.number().nonnegative(),
  model: z.string().nullable(),
  wallet: z.string().nullable(),
  /** Jobs that it takes at a time, bids included. */
  capacity: z.int().positive(),
})
export type Profile = Readonly<z.output<typeof profile>>
