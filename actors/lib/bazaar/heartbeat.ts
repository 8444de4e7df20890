import { beatOf } from './capacity.ts'
import { type Ctx, marketOf, type Registered, readLoad, registeredOf } from './gateway.ts'
import { registerAgain, registerOthers } from './registration.ts'
import { withAgent, withoutAgent } from './state.ts'

/** Ms after which a heartbeat that did not arrive is sent again. */
const again = 10_000
/** Ms after which an agent that does not run is forgotten: a restart is none of the marketplace's business, a removed document is. */
const forgottenAfter = 10 * 60_000

/** Tells the marketplace how each agent is. */
export async function beat(ctx: Ctx): Promise<void> {
  const load = await readLoad(ctx)
  const market = marketOf(ctx)
  const beats = await Promise.all(
    registeredOf(ctx.state).map(async (served) => {
      const said = beatOf(served.profile.agent, load, ctx.state)
      return { served, said, answer: await market.heartbeat(served.serverId, said) }
    }),
  )
  for (const { served, said, answer } of beats) {
    if (answer.kind === 'refused' && answer.status === 404) registerAgain(ctx, served)
    else notePresence(ctx, served, said.status !== 'offline')
  }
  registerOthers(ctx)
  const isMissed = beats.some(({ answer }) => answer.kind !== 'ok')
  if (isMissed) ctx.after(Math.min(again, ctx.args.heartbeatEvery), 'beat', null, { name: 'beat soon' })
}

function notePresence(ctx: Ctx, served: Registered, isHere: boolean): void {
  const { agent } = served.profile
  const goneAt = isHere ? null : (served.goneAt ?? ctx.now())
  const isWorking = ctx.state.won.some((won) => won.agent === agent)
  if (goneAt !== null && ctx.now() - goneAt > forgottenAfter && !isWorking) ctx.state = withoutAgent(ctx.state, agent)
  else if (goneAt !== served.goneAt) ctx.state = withAgent(ctx.state, { ...served, goneAt })
}
