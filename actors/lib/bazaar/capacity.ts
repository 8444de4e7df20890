import * as z from 'zod'
import type { Beat } from './client.ts'
import type { State } from './state.ts'

export const activeRows = z.array(z.object({ id: z.string(), status: z.string(), assigned_to: z.string().nullable() }))
export const dashboardRows = z.array(z.object({ agent_id: z.string(), status: z.string() }))

/** What is known of the agents on this side: their jobs that are not over, from wherever, and how they are. */
export interface Load {
  readonly active: z.output<typeof activeRows>
  readonly statuses: ReadonlyMap<string, string>
}

/** Jobs that an agent has to do: those it won, the rows of which may not be there yet, and those from elsewhere. */
export function workOf(agent: string, { active }: Load, { won }: Pick<State, 'won'>): number {
  const own = won.filter((one) => one.agent === agent)
  const rows = new Set(own.map(({ rowId }) => rowId))
  return own.length + active.filter(({ id, assigned_to }) => assigned_to === agent && !rows.has(id)).length
}

/** It has one thread: it says what it thinks of jobs when its work is done. */
export function isAtWork(agent: string, { active }: Load): boolean {
  return active.some(({ assigned_to, status }) => assigned_to === agent && status !== 'pending')
}

export interface CapacityOptions {
  readonly now: number
  /** Ms after which a bid that nobody decided on no longer keeps its agent from others; it can still be won. */
  readonly bidLapse: number
}

/** How many more jobs an agent could win, if it won everything it has bid for. */
export function freeFor(agent: string, load: Load, state: State, { now, bidLapse }: CapacityOptions): number {
  const served = state.agents[agent]
  if (served === undefined || !isAble(load.statuses.get(agent))) return 0
  const bids = state.bids.filter((bid) => bid.agent === agent && now - bid.at < bidLapse).length
  return Math.max(0, served.profile.capacity - workOf(agent, load, state) - bids)
}

/** What a heartbeat says of an agent. */
export function beatOf(agent: string, load: Load, state: State): Beat {
  const status = load.statuses.get(agent)
  if (status === undefined || status === 'offline') return { status: 'offline', current_capacity: 0 }
  const left = isAble(status) ? Math.max(0, (state.agents[agent]?.profile.capacity ?? 0) - workOf(agent, load, state)) : 0
  return { status: left > 0 ? 'available' : 'busy', current_capacity: left }
}

function isAble(status: string | undefined): boolean {
  return status !== undefined && status !== 'offline' && status !== 'blocked'
}
