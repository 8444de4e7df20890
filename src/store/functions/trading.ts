import * as z from 'zod'
import { newJob } from './jobs.ts'
import { jsonObject, milliseconds, uuid } from './values.ts'

const usd = z.number().positive()
const probability = z.number().min(0).max(1)
const side = z.enum(['YES', 'NO'])
const argsOf = <Shape extends z.ZodType>(shape: Shape) => z.object({ p_args: shape })
const execution = z.union([z.object({ id: uuid }), z.object({ idempotency_key: z.string().min(1) })])
const moved = z.object({
  verdict: z.enum(['ok', 'repeat', 'stale', 'not_found']),
  stage: z.string().optional(),
  status: z.string().optional(),
})

const opportunity = z.object({
  id: uuid.optional(),
  market_id: z.string().min(1),
  market_question: z.string().optional(),
  platform: z.string().optional(),
  side,
  current_price: probability,
  target_price: probability.optional(),
  suggested_position: usd.optional(),
  confidence: probability,
  edge: z.number().min(-1).max(1),
  research_summary: z.string().optional(),
  discovered_by: z.string(),
  discovery_method: z.string(),
  expires_in_ms: milliseconds.optional(),
  dedupe_key: z.string().optional(),
  event_id: z.string().optional(),
  details: jsonObject.optional(),
})

export const tradingFunctions = {
  publish_opportunity: {
    args: argsOf(z.object({ opportunity, job: newJob.partial().nullable().optional(), broadcast: z.boolean().optional() })),
    result: z.object({
      verdict: z.enum(['ok', 'repeat', 'duplicate']),
      opportunity_id: uuid.nullable(),
      job_id: uuid.optional(),
    }),
  },
  review_opportunity: {
    args: argsOf(
      z.object({
        id: uuid,
        decision: z.enum(['approved', 'rejected']),
        reviewed_by: z.string(),
        reason: z.string().optional(),
        job: newJob.omit({ payload: true, job_type: true }).optional(),
      }),
    ),
    result: z.object({
      verdict: z.enum(['ok', 'repeat', 'expired', 'stale', 'not_found']),
      status: z.string().optional(),
      job_id: uuid.optional(),
    }),
  },
  reserve_execution: {
    args: argsOf(
      z.object({
        idempotency_key: z.string().min(1),
        id: uuid.optional(),
        opportunity_id: uuid.optional(),
        job_id: uuid.optional(),
        market_id: z.string().min(1),
        side,
        amount: usd,
        entry_price: probability.optional(),
        executed_by: z.string().optional(),
        event_id: z.string().optional(),
        details: jsonObject.optional(),
      }),
    ),
    result: z.discriminatedUnion('verdict', [
      z.object({ verdict: z.literal('ok'), execution_id: uuid }),
      z.object({ verdict: z.literal('repeat'), execution_id: uuid, stage: z.string(), status: z.string() }),
      z.object({
        verdict: z.literal('refused'),
        reason: z.enum([
          'trading_disabled',
          'max_position_size',
          'max_event_exposure',
          'max_daily_exposure',
          'already_executed',
          'config_missing',
        ]),
        used: z.number().optional(),
        limit: z.number().optional(),
      }),
    ]),
  },
  record_execution: {
    args: argsOf(
      execution.and(
        z.object({
          stage: z.enum(['ordered', 'unknown', 'unsold_leg', 'filled']),
          tx_hash: z.string().optional(),
          amount: usd.optional(),
          entry_price: probability.optional(),
          shares: z.number().nonnegative().optional(),
          fees: z.number().nonnegative().optional(),
          error: z.string().optional(),
          details: jsonObject.optional(),
        }),
      ),
    ),
    result: moved,
  },
  settle_execution: {
    args: argsOf(
      execution.and(
        z.object({
          exit_price: probability.optional(),
          pnl: z.number().optional(),
          fees: z.number().nonnegative().optional(),
          exit_reason: z.string().optional(),
        }),
      ),
    ),
    result: moved.extend({ pnl: z.number().nullable().optional() }),
  },
  release_execution: {
    args: argsOf(execution.and(z.object({ reason: z.string(), stage: z.enum(['reserved', 'ordered', 'unknown']).optional() }))),
    result: moved,
  },
  expire_opportunities: {
    args: argsOf(z.object({ limit: z.int().positive().optional() })),
    result: z.object({ expired: z.int() }),
  },
  trading_exposure: {
    args: argsOf(
      z.object({
        market_id: z.string().optional(),
        event_id: z.string().optional(),
        broker: z.string().optional(),
        platform: z.enum(['polymarket', 'replay', 'simulated']).optional(),
      }),
    ),
    result: z.object({ today: z.number(), market: z.number(), event: z.number(), open: z.number(), pnl: z.number() }),
  },
  record_performance: {
    args: argsOf(z.object({ period: z.enum(['daily', 'weekly', 'monthly']).optional(), day: z.iso.date().optional() })),
    result: z.object({ agents: z.int() }),
  },
} as const
