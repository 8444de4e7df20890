import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type AgentSpec, agentDefaults } from '../src/core/agent.ts'
import type { ThreadFrame } from '../src/core/frames.ts'
import { defaults } from '../src/core/spec.ts'
import { createChild } from '../src/host/child.ts'
import { startThread } from '../src/host/thread.ts'
import type { HttpPool } from '../src/services/http.ts'

type Outcome = Extract<ThreadFrame, { kind: 'ended' }>['outcome']

const file = fileURLToPath(new URL('actors/requester.ts', import.meta.url))
let clients = 0

/** Starts an actor's thread on the pool; without one its fetch and undici have sockets of their own. */
export async function startClient(pool: HttpPool | undefined) {
  clients += 1
  const id = `requester-${clients}`
  const memory = { soft: 2 ** 30, hard: 2 ** 30, poll: 250 }
  const spec: AgentSpec = {
    ...defaults.child,
    ...agentDefaults,
    id,
    version: '1',
    team: 'bench',
    type: 'requester',
    file,
    args: '{}',
    memory,
  }
  const child = createChild(startThread({ hard: memory.hard, zombieAfter: 2_000, log() {}, onReaped() {} }), spec, 1)
  const http = pool?.connect({ team: spec.team, id, origins: ['*'], concurrency: 64 }, child.exited)
  await child.load({ state: null, sql: [], http })
  let turns = 0
  let ended = (_: Outcome): void => {}
  child.onFrame((frame) => {
    if (frame.kind === 'ended') ended(frame.outcome)
  })
  return {
    async run<Reply>(type: string, body: unknown): Promise<Reply> {
      turns += 1
      const outcome = new Promise<Outcome>((resolve) => {
        ended = resolve
      })
      const common = { kind: 'turn', actor: id, turn: turns, source: 'message', from: 'bench', attempt: 1, priority: 'normal' } as const
      child.post({ ...common, id: randomUUID(), type, body: JSON.stringify(body) })
      const result = await outcome
      if (result.kind === 'threw') throw new Error(result.error.message)
      return JSON.parse(result.reply) as Reply
    },
    async [Symbol.asyncDispose]() {
      child.kill()
      await child.exited
    },
  }
}
