import * as z from 'zod'
import { answeredJsonb, batchOf, jsonb, milliseconds, rowVerdict, timestamp, token, uuid, wholeMilliseconds } from './values.ts'

/** A job as its claim gives it: `lease_token` fences everything its holder does with it. */
export const claimedJob = z.object({
  job_id: uuid,
  job_type: z.string(),
  payload: answeredJsonb, // anybody may have written it
  priority: z.int(),
  attempt: z.int(),
  max_attempts: z.int(),
  lease_token: token,
  created_by: z.string().nullable(),
  created_at: timestamp,
  timeout_ms: z.int().nullable(),
})
export type ClaimedJob = z.output<typeof claimedJob>

/** Where the last claim stopped; pass it on unread. */
const cursor = z.object({ at: z.string(), seq: z.string(), full_at: timestamp })
export type ClaimCursor = z.output<typeof cursor>

export const newJob = z.object({
  id: uuid.optional(),
  job_type: z.string().min(1).max(200),
  payload: jsonb.optional(),
  /** 1 is first, 10 last. */
  priority: z.int().min(1).max(10).optional(),
  created_by: z.string().optional(),
  target_agent: z.string().optional(),
  /** At most one live job of a type has the key. */
  dedupe_key: z.string().optional(),
  delay_ms: milliseconds.optional(),
  max_attempts: z.int().min(1).max(100).optional(),
  backoff_ms: z.int().nonnegative().optional(),
  backoff_max_ms: z.int().nonnegative().optional(),
  timeout_ms: z.int().positive().optional(),
})

export const createdJob = z.object({ job_id: uuid.nullable(), verdict: z.enum(['ok', 'repeat', 'duplicate']) })
export const renewal = z.object({
  job_id: uuid,
  lease_token: token,
  lease_ms: z.int().min(100).max(86_400_000).optional(),
  started: z.boolean().optional(),
})
const jobVerdict = z.object({ job_id: uuid, verdict: rowVerdict })
export const jobVerdicts = z.array(jobVerdict)

export const jobFunctions = {
  create_jobs: { args: batchOf(newJob), result: z.array(createdJob) },
  claim_jobs: {
    args: batchOf(
      z.object({
        agent_id: z.string().min(1),
        lease_token: token.optional(),
        job_types: z.array(z.string()).nullable().optional(),
        limit: z.int().min(1).max(500).optional(),
        lease_ms: z.int().min(100).max(86_400_000).optional(),
        claim_id: uuid.optional(),
        cursor: cursor.nullable().optional(),
      }),
    ),
    result: z.array(
      z.object({
        agent_id: z.string(),
        verdict: z.enum(['ok', 'repeat', 'stale']),
        jobs: z.array(claimedJob),
        cursor: cursor.nullable().optional(),
      }),
    ),
  },
  finish_jobs: {
    args: batchOf(
      z.object({
        job_id: uuid,
        lease_token: token,
        outcome: z.enum(['completed', 'failed', 'released']),
        result: jsonb.optional(),
        error: z.string().optional(),
        retryable: z.boolean().optional(),
        retry_in_ms: wholeMilliseconds.optional(),
      }),
    ),
    result: jobVerdicts,
  },
  renew_jobs: { args: batchOf(renewal), result: jobVerdicts },
  cancel_jobs: { args: batchOf(z.object({ job_id: uuid, reason: z.string().optional() })), result: jobVerdicts },
  redrive_jobs: {
    args: batchOf(z.object({ job_id: uuid })),
    result: z.array(z.object({ job_id: uuid, verdict: z.enum(['ok', 'repeat', 'stale', 'not_found', 'duplicate']) })),
  },
} as const
