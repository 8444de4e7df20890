import { expect, test } from 'vitest'
import { createEngine } from '../../src/host/engine.ts'
import type { AgentSync } from '../../src/store/functions/turns.ts'
import type { Store } from '../../src/store/store.ts'
import { agent } from './hosted.ts'

/** An engine over a store whose first heartbeat is answered when the test says so. */
function openEngine() {
  const said: string[] = []
  const asked = Promise.withResolvers<void>()
  const answered = Promise.withResolvers<void>()
  const store = {
    async call(_: string, { p_batch: { agents } }: { p_batch: { agents: AgentSync[] } }) {
      said.push(...agents.map(({ agent_id, action, lease_token }) => [agent_id, action, lease_token].filter(Boolean).join(' ')))
      asked.resolve()
      await answered.promise
      return { agents: agents.map(({ agent_id }) => ({ agent_id, verdict: 'ok', lease_token: 1, state: null })), jobs: [] }
    },
  } as unknown as Store
  const leases = { agents: 15_000, jobs: 60_000 }
  const engine = createEngine({ store, node: 'n', leases, emit() {}, isDown: () => false, onLost() {} })
  return { engine, said, asked: asked.promise, answer: () => answered.resolve() }
}

test('leases that arrive while everything ends are given back', async () => {
  const { engine, said, asked, answer } = openEngine()
  const taken = engine.take([agent('a')], 1)
  await asked
  const closed = engine.close({ grace: 20_000 })
  answer()
  await closed
  expect([said, await taken]).toEqual([['a take', 'a release 1'], [expect.objectContaining({ verdict: 'ok', token: 1 })]])
})

test('what is wished for at the end comes to nothing', async () => {
  const { engine, said, answer } = openEngine()
  answer()
  await engine.close({ grace: 0 })
  expect([await engine.take([agent('a')], 1), said]).toEqual([[undefined], []])
})
