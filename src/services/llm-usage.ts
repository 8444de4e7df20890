import type { LlmUsage } from '../core/llm.ts'
import type { Caller } from './service.ts'

/** What an agent has used of models; dollars of the models that have a price. */
export type AgentUsage = {
  readonly team: string
  readonly agent: string
  readonly calls: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly usd: number
}

/** Adds up what each agent has used, in memory. */
export function createUsage() {
  const used = new Map<string, AgentUsage>()
  return {
    add({ team, agent }: Pick<Caller, 'team' | 'agent'>, { inputTokens, outputTokens, usd }: LlmUsage): void {
      const before = used.get(agent) ?? { team, agent, calls: 0, inputTokens: 0, outputTokens: 0, usd: 0 }
      used.set(agent, {
        team,
        agent,
        calls: before.calls + 1,
        inputTokens: before.inputTokens + inputTokens,
        outputTokens: before.outputTokens + outputTokens,
        usd: before.usd + (usd ?? 0),
      })
    },
    all: (): readonly AgentUsage[] => [...used.values()],
  }
}
