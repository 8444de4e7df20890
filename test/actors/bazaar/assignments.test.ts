import { expect, test } from 'vitest'
import { adopt } from '../../../actors/lib/bazaar/assignments.ts'
import type { Marketplace } from '../../../actors/lib/bazaar/client.ts'
import type { Ctx, Registered } from '../../../actors/lib/bazaar/gateway.ts'
import { firstState, type State } from '../../../actors/lib/bazaar/state.ts'
import { marketJob } from '../../../actors/lib/bazaar/wire.ts'

const served = { profile: { agent: 'a', job: 'summary', baseRateUsd: 0.04 }, serverId: 'agent_1' } as Registered

/** Finds a job assigned by a bid of this price, twice, and tells what the gateway makes of it. */
async function assigned(price_usd: number | undefined, { isAway = false } = {}) {
  const listed = { job_id: 'job_1', budget_usd: 1, status: 'assigned', assigned_agent_id: 'agent_1', winning_bid_id: 'bid_2' }
  const bid = { agent_id: 'agent_1', status: 'accepted' }
  const bids = [
    { ...bid, bid_id: 'bid_1', price_usd: 0.05 },
    { ...bid, bid_id: 'bid_2', price_usd },
  ]
  const market = {
    job: async () => (isAway ? { kind: 'away', reason: 'no answer' } : { kind: 'ok', value: marketJob.parse({ ...listed, bids }) }),
  } as unknown as Marketplace
  let made = 0
  const open = [{ agent: 'a', jobId: 'job_1', bidId: 'bid_1', at: 0 }]
  const ctx = {
    ...{ self: 'gate', now: () => 0, state: { ...firstState, bids: open } as State, db: { read: async () => [] } },
    jobs: { create: () => `row ${++made}` },
    log: { info() {}, warn() {} },
  } as unknown as Ctx
  for (const _ of [1, 2]) await adopt(ctx, market, served, marketJob.parse(listed))
  const { won, ended, bids: left } = ctx.state
  return { made, won: won.length, bids: left.length, ended: ended.map(({ reason }) => reason) }
}

test('what is won for what the agent takes is done', async () => {
  const taken = { made: 1, won: 1, bids: 0, ended: [] }
  expect([await assigned(0.04), await assigned(undefined)]).toEqual([taken, taken])
})

test('nobody works for less than its rate, whoever bid that in its name', async () => {
  const ended = ['it was assigned for 0.001 USD, the least is 0.04']
  expect(await assigned(0.001)).toEqual({ made: 0, won: 0, bids: 0, ended })
})

test('an assignment whose bids cannot be read waits, and its bid is not forgotten', async () => {
  expect(await assigned(0.05, { isAway: true })).toEqual({ made: 0, won: 0, bids: 1, ended: [] })
})
