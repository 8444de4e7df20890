import type { Event } from '../core/events.ts'
import type { AgentSync, NodeSync } from '../store/functions/turns.ts'
import type { Store } from '../store/store.ts'
import { isAboutData, type Patience } from './patience.ts'

export type HeartbeatOptions = {
  readonly store: Pick<Store, 'call'>
  readonly patience: Patience
  readonly emit: (event: Event) => void
  /** Ms for one call. */
  readonly timeout: number
}

/**
 * Makes the call that takes, renews and gives back all leases of a process. What is reported of an agent must not cost a lease: if the
 * call is refused, it goes once more with nothing in it but what the leases need.
 */
export function createHeartbeat({ store, patience, emit, timeout }: HeartbeatOptions) {
  let isRefused = false
  const call = (p_batch: NodeSync) => patience.attempt(() => store.call('sync_node', { p_batch }, { timeout }))

  return async (batch: NodeSync): ReturnType<typeof call> => {
    try {
      const answer = await call(batch)
      isRefused = false
      return answer
    } catch (error) {
      if (!isAboutData(error)) throw error
      // Said once: it is refused again with every heartbeat, until the agent says something else.
      if (!isRefused) emit({ name: 'report:refused', error: (error as Error).message })
      isRefused = true
      return await call({ ...batch, agents: batch.agents.map(withoutReport) })
    }
  }
}

function withoutReport({
  agent_name,
  blocked_reason,
  current_job,
  current_load,
  max_load,
  capabilities,
  version,
  ...lease
}: AgentSync): AgentSync {
  return lease
}
