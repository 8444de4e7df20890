import type { Event } from '../core/events.ts'
import type { AgentSync, NodeSync, SyncedAgent } from '../store/functions/turns.ts'
import type { Store } from '../store/store.ts'
import { bisect } from './bisect.ts'
import { isAboutData, type Patience } from './patience.ts'

export type HeartbeatOptions = {
  readonly store: Pick<Store, 'call'>
  readonly patience: Patience
  readonly emit: (event: Event) => void
  /** Ms for one call. */
  readonly timeout: number
}

/** What the store says about an agent; `invalid`: it does not even take what the lease needs, and `error` says why. */
export type Heard = Omit<SyncedAgent, 'verdict'> & { readonly verdict: SyncedAgent['verdict'] | 'invalid'; readonly error?: string }

/**
 * Makes the call that takes, renews and gives back all leases of a process. Neither what is reported of an agent nor one agent may cost
 * the others their leases: a call that is refused goes once more with nothing in it but what the leases need, and then in parts.
 */
export function createHeartbeat({ store, patience, emit, timeout }: HeartbeatOptions) {
  let isRefused = false
  const call = (p_batch: NodeSync) => patience.attempt(() => store.call('sync_node', { p_batch }, { timeout }))
  type Answer = Omit<Awaited<ReturnType<typeof call>>, 'agents'> & { readonly agents: readonly Heard[] }

  async function callInParts(batch: NodeSync): Promise<Answer> {
    const heard = new Map<string, Heard>()
    let jobs: Answer['jobs'] = []
    const heldFirst = batch.agents.toSorted((one, other) => Number(one.action === 'take') - Number(other.action === 'take'))
    await bisect(
      heldFirst,
      async (agents) => {
        const answer = await call({ ...batch, agents: [...agents] })
        for (const agent of answer.agents) heard.set(agent.agent_id, agent)
        jobs = answer.jobs
      },
      ({ agent_id }, { message }) => heard.set(agent_id, { agent_id, verdict: 'invalid', error: message }),
    )
    return { agents: batch.agents.map(({ agent_id }) => heard.get(agent_id) as Heard), jobs }
  }

  /** Said once: it is refused again with every heartbeat, until the agents say something else. */
  function tell(error: unknown): void {
    if (!isRefused) emit({ name: 'report:refused', error: (error as Error).message })
    isRefused = true
  }

  return async (batch: NodeSync): Promise<Answer> => {
    try {
      const answer = await call(batch)
      isRefused = false
      return answer
    } catch (error) {
      if (!isAboutData(error)) throw error
      const answer = await callInParts({ ...batch, agents: batch.agents.map(withoutReport) })
      const invalid = answer.agents.filter(({ verdict }) => verdict === 'invalid')
      // One that is to blame is told of by name.
      if (invalid.length === 0 || invalid.length === batch.agents.length) tell(error)
      // If nobody is good enough, it is not about one of them.
      if (invalid.length === batch.agents.length) throw error
      return answer
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
