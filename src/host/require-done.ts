import { ActorError } from '../core/errors.ts'
import type { Result } from '../core/team.ts'

/** Throws START_FAILED or ACTOR_DOWN where a supervisor could not do what was asked of it. */
export function requireDone(id: string, result: Result): void {
  if (result.kind === 'done' || result.kind === 'ignored') return
  if (result.kind === 'failed') {
    throw new ActorError('START_FAILED', `"${id}" did not start: ${result.exit}${result.detail ? `: ${result.detail}` : ''}`, {
      details: { id },
    })
  }
  const why = result.kind === 'refused' ? result.why : result.kind
  throw new ActorError('ACTOR_DOWN', `"${id}" cannot do that now: ${why}`, { details: { id, why } })
}
