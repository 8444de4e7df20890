import { expect, test } from 'vitest'
import type { Ctx } from '../../../actors/lib/bazaar/gateway.ts'
import { meet, registerNext } from '../../../actors/lib/bazaar/registration.ts'
import { settings } from '../../../actors/lib/bazaar/settings.ts'
import { firstState, type State } from '../../../actors/lib/bazaar/state.ts'

const minute = 60_000

/** A gateway with two agents, on a marketplace that does not reach the model of those whose model is down. */
function gateway(args: object = {}) {
  let now = 0
  const down = new Set(['a'])
  const asked: string[] = []
  const timers: number[] = []
  const ctx = {
    ...{ now: () => now, args: settings.parse(args), state: firstState as State, signal: new AbortController().signal },
    log: { info() {}, warn() {} },
    after: (ms: number, type: string) => type === 'register' && timers.push(ms),
    async http(_: string, { json: { name } }: { json: { name: string } }) {
      asked.push(name)
      const [status, body] = down.has(name) ? [400, { detail: 'model not reachable' }] : [200, { agent_id: `agent_${name}` }]
      return { ok: status === 200, status, body: new Blob([JSON.stringify(body)]).stream() }
    },
  } as unknown as Ctx
  for (const agent of ['a', 'b']) {
    meet(ctx, {
      ...{ agent, type: 't', job: 'j', name: agent, description: '', capabilities: {}, baseRateUsd: 0.04 },
      ...{ model: null, wallet: null, capacity: 1 },
    })
  }
  /** Lets time pass, in minutes, and tries as often as there is somebody to register at that time. */
  async function pass(minutes: number) {
    now += minutes * minute
    asked.length = 0
    do {
      timers.length = 0
      await registerNext(ctx)
    } while (timers.includes(0))
    return [...asked]
  }
  return { ctx, down, pass }
}

test('an agent that the marketplace refuses is tried again later, each time more so, and keeps nobody from registering', async () => {
  const { ctx, down, pass } = gateway()
  expect(await pass(0)).toEqual(['a'])
  expect([await pass(1), await pass(5), await pass(8)]).toEqual([['b'], [], ['a']])
  expect([await pass(14), await pass(11), await pass(49), await pass(47)]).toEqual([[], ['a'], ['a'], []])
  down.clear()
  expect([await pass(90), ctx.state.agents.a?.serverId, ctx.state.agents.a?.refused]).toEqual([['a'], 'agent_a', null])
  expect(await pass(1_000)).toEqual([])
})

test('what an earlier version took for final is asked again; who has the wallet of another one is not', async () => {
  const { ctx, down, pass } = gateway()
  down.clear()
  const [a] = Object.values(ctx.state.agents)
  if (a) ctx.state = { ...ctx.state, agents: { ...ctx.state.agents, a: { ...a, refused: 'model not reachable' } } }
  expect([await pass(0), await pass(1)]).toEqual([['b'], ['a']])

  const shared = gateway({ wallet: `0x${'a'.repeat(40)}` })
  shared.down.clear()
  expect([await shared.pass(0), await shared.pass(1), await shared.pass(100)]).toEqual([['a'], [], []])
  expect(shared.ctx.state.agents.b?.refused).toContain('it has the wallet of a')
})
