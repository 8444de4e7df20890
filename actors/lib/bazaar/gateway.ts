import type { Context } from 'troupe/actor'
import { activeRows, dashboardRows, type Load } from './capacity.ts'
import { createMarketplace, type Marketplace } from './client.ts'
import type { Settings } from './settings.ts'
import type { Served, State } from './state.ts'

export const sql = ['v_agent_dashboard', 'v_active_jobs', 'agent_jobs'] as const
/** What the gateway's handlers work with. */
export type Ctx = Context<Settings, State, (typeof sql)[number]>

/** An agent that is registered. */
export type Registered = Served & { readonly serverId: string }

/** The marketplace, for the length of a turn. */
export function marketOf(ctx: Pick<Ctx, 'http' | 'args' | 'signal'>): Marketplace {
  return createMarketplace({ http: ctx.http, api: ctx.args.api, timeout: ctx.args.timeout, signal: ctx.signal })
}

export function registeredOf({ agents }: Pick<State, 'agents'>): Registered[] {
  return Object.values(agents).filter((one): one is Registered => one.serverId !== null)
}

/** Reads what the agents have to do and how they are. */
export async function readLoad(ctx: Ctx): Promise<Load> {
  const ids = Object.keys(ctx.state.agents)
  if (ids.length === 0) return { active: [], statuses: new Map() }
  const [active, statuses] = await Promise.all([
    ctx.db.read('v_active_jobs', { assigned_to: { in: ids } }),
    ctx.db.read('v_agent_dashboard', { agent_id: { in: ids } }),
  ])
  return {
    active: activeRows.parse(active),
    statuses: new Map(dashboardRows.parse(statuses).map(({ agent_id, status }) => [agent_id, status])),
  }
}
