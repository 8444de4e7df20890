import { defineActor } from 'troupe/actor'
import * as z from 'zod'
import { createMarketplace } from './lib/bazaar/client.ts'
import { deliverDone } from './lib/bazaar/delivery.ts'
import { marketOf, registeredOf, sql } from './lib/bazaar/gateway.ts'
import { beat } from './lib/bazaar/heartbeat.ts'
import { profile } from './lib/bazaar/job.ts'
import { poll } from './lib/bazaar/poll.ts'
import { meet, registerNext } from './lib/bazaar/registration.ts'
import { settings } from './lib/bazaar/settings.ts'
import { firstState, type State, withoutAgent } from './lib/bazaar/state.ts'

const nothing = z.unknown()
/** Ms that the farewell has: less than the agent's `shutdown`. */
const farewell = 3_000

/** Deals with a marketplace for all specialists that report to it: registers them, bids, gives them what they win, and delivers. */
export default defineActor({
  args: settings,
  sql,
  // The config adds the marketplace's own.
  origins: ['http://localhost:8000'],
  persist: true,
  messages: {
    ...{ present: profile, released: z.object({ agent: z.string() }), finished: z.object({ key: z.string() }) },
    ...{ register: nothing, beat: nothing, poll: nothing, summary: nothing },
  },
  init(ctx): State {
    ctx.every(ctx.args.pollEvery, 'poll')
    ctx.every(ctx.args.heartbeatEvery, 'beat')
    ctx.after(0, 'register', null, { name: 'register' })
    ctx.after(0, 'beat', null, { name: 'beat soon' })
    ctx.after(0, 'poll', null, { name: 'poll soon' })
    return firstState
  },
  receive: {
    present: (said, ctx) => meet(ctx, said),
    released({ agent }, ctx) {
      ctx.state = withoutAgent(ctx.state, agent)
    },
    register: (_, ctx) => registerNext(ctx),
    beat: (_, ctx) => beat(ctx),
    poll: (_, ctx) => poll(ctx),
    async finished({ key }, ctx) {
      const won = ctx.state.won.find((one) => one.key === key)
      const served = registeredOf(ctx.state).find((one) => one.profile.agent === won?.agent)
      if (served) await deliverDone(ctx, marketOf(ctx), served, (one) => one.key === key)
      ctx.after(0, 'poll', null, { name: 'poll soon' })
    },
    summary: (_, ctx) => ctx.state,
  },
  async stop(ctx) {
    const { http, args, state, signal } = ctx
    const market = createMarketplace({ http, api: args.api, timeout: Math.min(args.timeout, farewell), signal })
    const offline = { status: 'offline', current_capacity: 0 } as const
    await Promise.all(registeredOf(state).map(({ serverId }) => market.heartbeat(serverId, offline)))
  },
})
