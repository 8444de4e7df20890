import type { AgentSpec } from '../core/agent.ts'
import type { Result } from '../core/team.ts'
import type { Root } from './root.ts'

type Owner = Pick<Root<AgentSpec>, 'pause' | 'renew'>

/** Who is paused in this process, whatever becomes of its lease or its team in the meantime. */
export function createPauses() {
  const ids = new Set<string>()
  return {
    has: (id: string) => ids.has(id),
    end: (id: string) => ids.delete(id),
    async pause(id: string, owner: Owner): Promise<Result> {
      const wasPaused = ids.has(id)
      // Before it is down: a reload on the way there must not start it again.
      ids.add(id)
      const result = await owner.pause(id)
      if (result.kind !== 'done' && !wasPaused) ids.delete(id)
      return result
    },
    async resume(id: string, owner: Owner): Promise<Result> {
      ids.delete(id)
      const result = await owner.renew(id)
      if (result.kind === 'refused') ids.add(id)
      return result
    },
  }
}
