import * as z from 'zod'
import { createdJob, jobVerdicts, newJob, renewal } from './jobs.ts'
import { outgoingMessage, refill, replies, sentMessage, stamps, takenMessages } from './messages.ts'
import { answeredJsonb, batchOf, jsonb, jsonObject, jsonText, milliseconds, token, uuid, wholeMilliseconds } from './values.ts'

const timer = z.union([
  z.object({ name: z.string(), cancel: z.literal(true) }),
  z.object({
    name: z.string(),
    type: z.string(),
    body: jsonText.optional(),
    every_ms: z.int().positive().optional(),
    due_in_ms: milliseconds.optional(),
  }),
])

/** One handled message or job with everything it collected; committed whole or not at all. */
export const turn = z.object({
  agent_id: z.string(),
  lease_token: token,
  message: z
    .object({
      id: uuid,
      attempts: z.int().nonnegative(),
      interruptions: z.int().nonnegative().optional(),
      /** `started` has counted this attempt. */
      counted: z.boolean().optional(),
      /** And it was none. */
      taken_back: z.boolean().optional(),
    })
    .optional(),
  job: z.object({ id: uuid, lease_token: token, result: jsonb.optional() }).optional(),
  /** Makes a repeat known where there is neither message nor job. */
  turn_id: uuid.optional(),
  outcome: z.enum(['done', 'retry', 'dead', 'released', 'started', 'interrupted']).optional(),
  error: z.string().optional(),
  reason: z.string().optional(),
  retry_in_ms: wholeMilliseconds.optional(),
  state: z.object({ version: z.int().nonnegative(), value: jsonText }).optional(),
  reply: z.object({ id: uuid, to_agent: z.string(), body: jsonText }).optional(),
  messages: z.array(outgoingMessage).optional(),
  jobs: z.array(newJob).optional(),
  timers: z.array(timer).optional(),
  writes: z.array(z.object({ fn: z.string(), args: jsonObject })).optional(),
  steps: z.boolean().optional(),
})
export type Turn = z.input<typeof turn>

const turnVerdict = z.discriminatedUnion('verdict', [
  z.object({
    verdict: z.literal('ok'),
    messages: z.array(sentMessage).optional(),
    jobs: z.array(createdJob).optional(),
    writes: z.array(answeredJsonb).optional(),
  }),
  z.object({ verdict: z.literal('repeat'), messages: z.array(sentMessage).optional() }),
  z.object({ verdict: z.literal('stale'), reason: z.enum(['lease', 'delivery', 'job', 'state', 'follows']) }),
  z.object({ verdict: z.literal('failed'), code: z.string(), error: z.string() }),
])
export type TurnVerdict = z.output<typeof turnVerdict>

/** Whose step: of the message, or of the job with its own token. */
const stepKey = {
  agent_id: z.string(),
  lease_token: token,
  message_id: uuid.optional(),
  job_id: uuid.optional(),
  job_token: token.optional(),
  key: z.string(),
}
const failedStep = z.object({ key: z.string(), verdict: z.literal('failed'), code: z.string(), error: z.string() })

const agentSync = z.object({
  agent_id: z.string().min(1),
  action: z.enum(['take', 'hold', 'release', 'retire']).optional(),
  lease_token: token.optional(),
  agent_type: z.string().optional(),
  agent_name: z.string().optional(),
  spec_version: z.string().optional(),
  spec_stamp: z.int().optional(),
  mailbox_limit: z.int().positive().optional(),
  supervision: jsonObject.optional(),
  status: z.enum(['idle', 'working', 'blocked', 'error', 'offline']).optional(),
  blocked_reason: z.string().optional(),
  current_job: uuid.optional(),
  current_load: z.int().nonnegative().optional(),
  max_load: z.int().nonnegative().optional(),
  capabilities: z.array(z.string()).optional(),
  version: z.string().optional(),
})

export type AgentSync = z.input<typeof agentSync>

/** What a node learns about one of its agents; `lease_token` and what follows only when it has just taken the lease. */
const syncedAgent = z.object({
  agent_id: z.string(),
  verdict: z.enum(['ok', 'repeat', 'stale', 'busy', 'older']),
  lease_token: token.optional(),
  state: z.object({ version: z.int(), value: jsonText }).nullable().optional(),
  supervision: jsonObject.optional(),
  unclean: z.boolean().optional(),
  node_id: z.string().nullable().optional(),
  expires_in_ms: z.number().optional(),
})

export type SyncedAgent = z.output<typeof syncedAgent>

const nodeSync = z.object({
  node_id: z.string().min(1),
  lease_ms: z.int().min(100).max(3_600_000).optional(),
  agents: z.array(agentSync),
  jobs: z.array(renewal).optional(),
})

export type NodeSync = z.input<typeof nodeSync>

export const turnFunctions = {
  commit_turns: {
    args: z.object({
      p_batch: z.object({
        turns: z.array(turn).max(64),
        stamps: stamps.optional(),
        refills: z.array(refill).optional(),
        awaiting: z.array(uuid).optional(),
      }),
    }),
    result: z.object({ turns: z.array(turnVerdict), refills: takenMessages, replies }),
  },
  save_steps: {
    args: batchOf(z.object({ ...stepKey, phase: z.enum(['start', 'finish']), run: z.string().optional(), result: jsonText.optional() })),
    result: z.array(
      z.union([
        z.object({ key: z.string(), verdict: z.enum(['ok', 'stale', 'not_found']) }),
        z.object({
          key: z.string(),
          verdict: z.literal('repeat'),
          status: z.enum(['started', 'finished']),
          result: jsonText.optional(),
        }),
        failedStep,
      ]),
    ),
  },
  call_functions: {
    args: batchOf(z.object({ ...stepKey, fn: z.string(), args: jsonObject })),
    result: z.array(
      z.union([
        z.object({ key: z.string(), verdict: z.enum(['ok', 'repeat']), result: answeredJsonb }),
        z.object({ key: z.string(), verdict: z.literal('stale') }),
        failedStep,
      ]),
    ),
  },
  sync_node: {
    args: z.object({ p_batch: nodeSync }),
    result: z.object({ agents: z.array(syncedAgent), jobs: jobVerdicts }),
  },
} as const
