import { expect, test } from 'vitest'
import { fateOf } from '../../../actors/lib/bazaar/bidding.ts'
import type { Ctx, Registered } from '../../../actors/lib/bazaar/gateway.ts'
import { adoptBid } from '../../../actors/lib/bazaar/offers.ts'
import { firstState, type State } from '../../../actors/lib/bazaar/state.ts'
import { marketJob } from '../../../actors/lib/bazaar/wire.ts'

const served = { profile: { agent: 'a' }, serverId: 'agent_1' } as Registered
const now = Date.UTC(2026, 6, 25, 12)
const hour = 3_600_000

/** Finds a bid of before at the marketplace, and tells how old it is taken to be and what becomes of it. */
function adopted(created_at?: string) {
  const job = marketJob.parse({
    ...{ job_id: 'job_1', budget_usd: 1, status: 'posted' },
    bids: [{ bid_id: 'bid_1', agent_id: 'agent_1', status: 'pending', created_at }],
  })
  const ctx = { now: () => now, state: firstState as State } as Ctx
  adoptBid(ctx, served, job)
  const [bid] = ctx.state.bids
  return bid && [(now - bid.at) / hour, fateOf(bid, job, 'agent_1', now).kind]
}

test('a bid of before that is found again is as old as the marketplace says', () => {
  expect([adopted('2026-07-25T10:00:00'), adopted('2026-07-24T11:00:00.123456'), adopted()]).toEqual([
    [2, 'open'],
    [expect.closeTo(25, 2), 'lost'],
    [0, 'open'],
  ])
})

test('a bid of a marketplace whose clock is ahead is not younger than it can be', () => {
  expect(adopted('2036-07-25T12:00:00')).toEqual([0, 'open'])
})
