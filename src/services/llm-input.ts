import * as z from 'zod'
import { ActorError } from '../core/errors.ts'
import type { LlmRequest } from '../core/llm.ts'
import { longestTimer } from '../core/longest-timer.ts'

const shownIssues = 5

const name = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'expected a name of letters, digits and . _ - (at most 64)' })

const request = z.strictObject({
  prompt: z.string().min(1),
  system: z.string().optional(),
  untrusted: z.record(name, z.string()).optional(),
  model: z.string().min(1).max(200).optional(),
  maxTokens: z.int().positive().max(1_000_000).optional(),
  temperature: z.number().min(0).max(2).optional(),
  timeout: z.number().positive().max(longestTimer).optional(),
  jsonSchema: z.record(z.string(), z.json()).optional(),
  repair: z.strictObject({ answer: z.string(), issues: z.array(z.string()).min(1) }).optional(),
})

/** Parses what an actor asks of a model; BODY_INVALID says what is wrong with it, by option. */
export function parseLlmRequest(input: unknown): LlmRequest {
  const parsed = request.safeParse(input)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues
    .slice(0, shownIssues)
    .map(({ path, message }) => `${path.map(String).join('.') || 'options'}: ${message}`)
  throw new ActorError('BODY_INVALID', `ctx.llm: ${faults.join('; ')}`, { details: { faults } })
}
