import { join } from 'node:path'
import { vi } from 'vitest'
import type { TestTeam } from '../runtime/team.ts'
import { type Ground, teamOn } from '../runtime/team.ts'

/** The specialists as a team, with the model at an address or without one. */
export function specialistsOn(ground: Ground, model?: string): TestTeam {
  const agents = [
    { id: 'architect', type: 'schema-architect' },
    { id: 'hunter', type: 'anomaly-hunter' },
    { id: 'reviewer', type: 'code-reviewer' },
  ]
  const options = { actors: join(import.meta.dirname, '../../actors'), env: model === undefined ? {} : { LLM_BASE_URL: model } }
  return teamOn(ground, agents, options)
}

/** Gives a job to whoever takes its type. */
export async function give(ground: Ground, type: string, payload: object, maxAttempts = 1): Promise<string> {
  const [job] = await ground.store.call('create_jobs', {
    p_batch: [{ job_type: type, payload: payload as never, max_attempts: maxAttempts }],
  })
  return job?.job_id ?? ''
}

const patience = 60_000
const over: ReadonlySet<string> = new Set(['completed', 'failed', 'dead', 'cancelled'])

/** What a job came to: waits until it has ended, one way or the other. */
export function ended(
  ground: Ground,
  job: string,
  timeout = patience,
): Promise<{ status: unknown; result: Record<string, unknown>; error: string }> {
  return vi.waitFor(
    async () => {
      const [row] = await ground.store.read('agent_jobs', { id: job })
      if (!row || !over.has(row.status)) throw new Error(`Job ${job} has not ended`)
      return { status: row.status, result: (row.result ?? {}) as Record<string, unknown>, error: row.error_message ?? '' }
    },
    { timeout, interval: 50 },
  )
}
