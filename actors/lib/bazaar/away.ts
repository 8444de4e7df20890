import type { Ctx } from './gateway.ts'
import { later } from './state.ts'

const pause = { first: 15_000, most: 5 * 60_000 }

/** The marketplace does not answer: it is asked again later, and told of once. Local jobs do not mind. */
export function goneAway(ctx: Ctx, reason: string): void {
  const { times } = ctx.state.away
  const says = `The marketplace ${ctx.args.api} does not answer: ${reason}`
  if (times === 0) ctx.log.warn(`${says}; local jobs are done all the same`)
  ctx.state = { ...ctx.state, away: later(times, ctx.now(), { ...pause, chance: Math.random() }) }
  ctx.status('idle', says)
}
