import * as z from 'zod'
import { uuid } from './values.ts'

const counts = z.record(z.string(), z.int())

/** Sweeps, and what the original system's agents call as well. */
export const upkeepFunctions = {
  schema_version: { args: z.object({}), result: z.string() },
  sweep_rows: { args: z.object({ p_args: z.object({ limit: z.int().positive().optional() }) }), result: counts },
  prune_rows: {
    args: z.object({
      p_args: z.object({
        limit: z.int().positive().optional(),
        done_days: z.int().nonnegative().optional(),
        dead_days: z.int().nonnegative().optional(),
      }),
    }),
    result: counts,
  },
  record_usage: {
    args: z.object({
      p_request: uuid,
      p_batch: z.array(
        z.object({
          scope: z.enum(['agent', 'team']),
          id: z.string().min(1),
          every: z.enum(['hour', 'day']),
          window_start: z.iso.datetime(),
          tokens: z.int().nonnegative(),
          usd: z.number().nonnegative(),
        }),
      ),
    }),
    result: z.array(z.object({ tokens: z.int(), usd: z.number() })),
  },
  update_agent_heartbeat: {
    args: z.object({
      p_agent_id: z.string().min(1),
      p_status: z.enum(['idle', 'working', 'blocked', 'error', 'offline']).optional(),
      p_current_job: uuid.nullable().optional(),
    }),
    result: z.null(),
  },
} as const
