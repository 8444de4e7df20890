import * as z from 'zod'

/** The marketplace writes UTC times without saying so. */
const time = z.string().transform((text, ctx) => {
  const ms = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`)
  if (!Number.isNaN(ms)) return ms
  ctx.addIssue({ code: 'custom', message: 'expected a time' })
  return z.NEVER
})
const maybe = <Given extends z.ZodType>(schema: Given) => schema.nullish().transform((value) => value ?? null)

/** Anybody may post a job: ids are names, and texts without what the database does not take. */
const id = z.string().regex(/^[\w.:-]{1,100}$/, { error: 'expected an id' })
const words = z.string().transform((text) => text.toWellFormed().replaceAll('\0', ''))

/** A bid as the marketplace keeps it; what it keeps besides is of no use here. */
const marketBid = z.object({
  bid_id: id,
  agent_id: z.string(),
  status: z.string(),
  price_usd: z.number().optional(),
  created_at: maybe(time),
})
export type MarketBid = z.output<typeof marketBid>

export const marketJob = z.object({
  job_id: id,
  title: words.default(''),
  description: words.default(''),
  required_capabilities: z.array(words).default([]),
  min_capability_score: z.number().default(0.7),
  budget_usd: z.number(),
  deadline_minutes: z.number().positive().default(10),
  status: z.string(),
  winning_bid_id: maybe(z.string()),
  assigned_agent_id: maybe(z.string()),
  assigned_at: maybe(time),
  attachments: z
    .array(z.looseObject({ file_id: z.string(), original_filename: words.default('file'), size_bytes: z.number().default(0) }))
    .nullish()
    .transform((files) => files ?? []),
  result: maybe(z.looseObject({ executed_by: z.string().nullish() })),
  bids: z.array(marketBid).default([]),
})
export type MarketJob = z.output<typeof marketJob>

const listed = 100

/** One wrong job among a hundred must not hide the others; more than today's server lists are not looked at. */
export const jobList = z
  .object({ jobs: z.array(z.unknown()) })
  .transform(({ jobs }) => jobs.slice(0, listed).flatMap((one) => marketJob.safeParse(one).data ?? []))
export const registered = z.object({ agent_id: id })
export const bidPlaced = z.object({ bid_id: id })
export const anything = z.unknown()

const refusal = z.object({ detail: z.unknown() })

/** What an error says, in a line that the database takes: a text, or a list of what is wrong with the request. */
export function detailOf(body: string): string {
  return textOf(body).slice(0, 300).toWellFormed().replaceAll('\0', '')
}

function textOf(body: string): string {
  try {
    const { detail } = refusal.parse(JSON.parse(body))
    return typeof detail === 'string' ? detail : JSON.stringify(detail)
  } catch {
    return body
  }
}
