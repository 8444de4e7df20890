import { goneAway } from './away.ts'
import { type Ctx, marketOf, type Registered, registeredOf } from './gateway.ts'
import type { Profile } from './job.ts'
import { later, type Served, withAgent } from './state.ts'
import { placeholderWallet } from './wallet.ts'

/** The server takes one registration of an owner in ten seconds, from the beginning of the one before. */
const coolDown = 10_000
const jitter = 500
/** After what may pass, though not soon. */
const pause = { first: 10 * 60_000, most: 60 * 60_000 }

/** Takes an agent on, or what is new about it; a changed one is registered again, which changes what the marketplace knows. */
export function meet(ctx: Ctx, profile: Profile): void {
  const known = ctx.state.agents[profile.agent]
  if (known !== undefined && JSON.stringify(known.profile) === JSON.stringify(profile)) return
  ctx.state = withAgent(ctx.state, { profile, serverId: null, refused: null, goneAt: null })
  soon(ctx, 0)
}

/** Registers the next agent that is not, and comes back for the one after it. */
export async function registerNext(ctx: Ctx): Promise<void> {
  for (const served of unregistered(ctx)) {
    const twin = twinOf(ctx, served)
    if (twin !== undefined) standBack(ctx, served, `it has the wallet of ${twin.profile.agent}, and the marketplace takes both for one`)
  }
  const [next] = unregistered(ctx)
  if (next === undefined) return
  const wait = Math.max(waitOf(next), ctx.state.registerAt, ctx.state.away.until) - ctx.now()
  if (wait > 0) return soon(ctx, wait)
  await register(ctx, next, walletOf(ctx, next.profile))
  registerOthers(ctx)
}

/** Sees to it that everybody is registered who is not yet. */
export function registerOthers(ctx: Ctx): void {
  const [next] = unregistered(ctx)
  if (next !== undefined) soon(ctx, waitOf(next) - ctx.now())
}

/** Who is still to be registered, in the order in which that may be tried; who stood back for a twin comes last. */
function unregistered(ctx: Ctx): readonly Served[] {
  const open = Object.values(ctx.state.agents).filter(
    (served) => served.serverId === null && (served.refused === null || !twinOf(ctx, served)),
  )
  return open.sort((one, other) => waitOf(one) - waitOf(other) || Number(one.refused !== null) - Number(other.refused !== null))
}

function waitOf({ waits }: Served): number {
  return waits?.until ?? 0
}

function twinOf(ctx: Ctx, { profile: own }: Served): Registered | undefined {
  const wallet = walletOf(ctx, own)
  return registeredOf(ctx.state).find(({ profile }) => sameWallet(walletOf(ctx, profile), wallet))
}

/** Forgets an agent's registration; it is registered again. */
export function registerAgain(ctx: Ctx, served: Served): void {
  ctx.log.warn(`The marketplace does not know ${served.profile.agent} any more: it is registered again`)
  ctx.state = withAgent(ctx.state, { ...served, serverId: null })
  soon(ctx, ctx.state.registerAt - ctx.now())
}

async function register(ctx: Ctx, served: Served, wallet_address: string): Promise<void> {
  const { name, description, baseRateUsd, capabilities, model, agent } = served.profile
  const began = ctx.now()
  const answer = await marketOf(ctx).register({
    ...{ name, description, owner_id: ctx.args.owner, wallet_address, base_rate_usd: baseRateUsd, capabilities },
    ...(model !== null && { model }),
  })
  const chance = Math.random() * jitter
  if (answer.kind === 'ok') {
    const { waits: _, ...registered } = served
    ctx.state = {
      ...withAgent(ctx.state, { ...registered, serverId: answer.value.agent_id, refused: null }),
      registerAt: began + coolDown + chance,
      away: { times: 0, until: 0 },
    }
    ctx.log.info(`${agent} is registered on the marketplace`, { agent_id: answer.value.agent_id })
    ctx.after(0, 'beat', null, { name: 'beat soon' })
    ctx.after(0, 'poll', null, { name: 'poll soon' })
    return
  }
  if (answer.kind === 'away') return goneAway(ctx, answer.reason)
  const wait = answer.status === 429 ? secondsIn(answer.detail) : 3 * coolDown
  ctx.state = { ...ctx.state, registerAt: ctx.now() + wait + chance }
  // A model that the server cannot reach is one of its reasons: that passes, and what does not is worth an hour's question.
  if (answer.status === 400) {
    const waits = later(served.waits?.times ?? 0, ctx.now(), { ...pause, chance: Math.random() })
    ctx.state = withAgent(ctx.state, { ...served, refused: null, waits })
    ctx.log.warn(`${agent} takes local jobs only for now: ${answer.detail}`)
  } else ctx.log.info(`${agent} is not registered yet: ${answer.status} ${answer.detail}`)
}

function standBack(ctx: Ctx, served: Served, reason: string): void {
  if (served.refused !== null) return
  ctx.log.warn(`${served.profile.agent} takes local jobs only: ${reason}`)
  ctx.state = withAgent(ctx.state, { ...served, refused: reason })
}

function soon(ctx: Ctx, wait: number): void {
  ctx.after(Math.max(0, Math.ceil(wait)), 'register', null, { name: 'register' })
}

function walletOf({ args }: Ctx, { wallet, agent }: Profile): string {
  return wallet ?? (args.wallet || placeholderWallet(args.owner, agent))
}

function sameWallet(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}

/** Ms of "…wait 7 seconds…"; the server cuts what is left of a second, so that it may say 0. */
export function secondsIn(detail: string): number {
  const [, seconds] = /(\d+(?:\.\d+)?)\s*s/i.exec(detail) ?? []
  return seconds === undefined ? coolDown : (Number(seconds) + 1) * 1_000
}
