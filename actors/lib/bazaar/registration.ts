import { goneAway } from './away.ts'
import { type Ctx, marketOf, registeredOf } from './gateway.ts'
import type { Profile } from './job.ts'
import { type Served, withAgent } from './state.ts'
import { placeholderWallet } from './wallet.ts'

/** The server takes one registration of an owner in ten seconds, from the beginning of the one before. */
const coolDown = 10_000
const jitter = 500

/** Takes an agent on, or what is new about it; a changed one is registered again, which changes what the marketplace knows. */
export function meet(ctx: Ctx, profile: Profile): void {
  const known = ctx.state.agents[profile.agent]
  if (known !== undefined && JSON.stringify(known.profile) === JSON.stringify(profile)) return
  ctx.state = withAgent(ctx.state, { profile, serverId: null, refused: null, goneAt: null })
  soon(ctx, 0)
}

/** Registers the next agent that is not, and comes back for the one after it. */
export async function registerNext(ctx: Ctx): Promise<void> {
  const next = Object.values(ctx.state.agents).find(({ serverId, refused }) => serverId === null && refused === null)
  if (next === undefined) return
  const wallet = walletOf(ctx, next.profile)
  const twin = registeredOf(ctx.state).find(({ profile }) => sameWallet(walletOf(ctx, profile), wallet))
  if (twin !== undefined) return refuse(ctx, next, `it has the wallet of ${twin.profile.agent}, and the marketplace takes both for one`)
  const wait = Math.max(ctx.state.registerAt, ctx.state.away.until) - ctx.now()
  if (wait > 0) return soon(ctx, wait)
  await register(ctx, next, wallet)
  registerOthers(ctx)
}

/** Sees to it that everybody is registered who is not yet. */
export function registerOthers(ctx: Ctx): void {
  const isOpen = Object.values(ctx.state.agents).some(({ serverId, refused }) => serverId === null && refused === null)
  if (isOpen) soon(ctx, 0)
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
    ctx.state = {
      ...withAgent(ctx.state, { ...served, serverId: answer.value.agent_id }),
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
  if (answer.status === 400) return refuse(ctx, served, answer.detail)
  ctx.log.info(`${agent} is not registered yet: ${answer.status} ${answer.detail}`)
}

function refuse(ctx: Ctx, served: Served, reason: string): void {
  ctx.log.warn(`${served.profile.agent} takes local jobs only: ${reason}`)
  ctx.state = withAgent(ctx.state, { ...served, refused: reason })
  soon(ctx, 0)
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
