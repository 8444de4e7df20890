import * as z from 'zod'

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

/** Ms; a text comes from the environment: plain seconds, or 500ms, 30s, 5m, 1h. */
const span = z.union([
  z.number().positive(),
  z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h)?$/, { error: 'expected seconds, or 500ms, 30s, 5m, 1h' })
    .transform((text) => Number.parseFloat(text) * units[(/[a-z]+$/.exec(text)?.[0] ?? 's') as keyof typeof units])
    .pipe(z.number().positive()),
])

/** The args of a gateway. */
export const settings = z.object({
  api: z.url({ protocol: /^https?$/ }).default('http://localhost:8000'),
  owner: z.string().min(1).default('multi_runner'),
  /** One wallet for all agents; empty: each has its own. */
  wallet: z
    .string()
    .regex(/^(0x[0-9a-fA-F]{40})?$/, { error: 'expected 0x and 40 hexadecimal digits' })
    .default(''),
  pollEvery: span.default(30_000),
  /** The marketplace takes an agent that is silent for five minutes to be gone. */
  heartbeatEvery: span.pipe(z.number().max(60_000)).default(45_000),
  /** For one call. */
  timeout: span.default(10_000),
  /** Bids of 10 USD and more, which the poster has to approve. */
  approval: z.boolean().default(false),
  bidLapse: span.default(3_600_000),
  /** What the marketplace is told of work that failed: the truth, which today's server answers with an error; a report as the result; nothing. */
  onFailure: z.enum(['tell', 'report', 'keep']).default('tell'),
})
export type Settings = z.output<typeof settings>
