import { ActorError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import { type ControlAddress, findAddresses, removeAddress } from '../ops/control-address.ts'
import type { Result } from '../ops/control-api.ts'
import { call, isGone } from './connect.ts'
import { styled } from './print.ts'

/** A running process of a team, and what it says of itself. */
export type Process = Result<'look'> & { readonly address: ControlAddress }
export type Agent = Process['agents'][number]

/** The processes that share a store's folder. */
export interface Team {
  readonly processes: readonly Process[]
  /** Why others, which are there, do not answer. */
  readonly silent: readonly ActorError[]
}

/** Finds what runs; what a killed process left behind is taken away. */
export async function findTeam(folder: string): Promise<Team> {
  const found = await Promise.all((await findAddresses(folder)).map(lookAt))
  return {
    processes: found.flatMap((one) => (one === undefined || one instanceof ActorError ? [] : [one])),
    silent: found.filter((one) => one instanceof ActorError),
  }
}

async function lookAt(address: ControlAddress): Promise<Process | ActorError | undefined> {
  try {
    return { ...(await call(address, 'look', {})), address }
  } catch (error) {
    if (!(error instanceof ActorError)) throw error
    if (!isGone(error)) return error
    await removeAddress(address)
    return undefined
  }
}

/** At least one process that answers, or what to do to have one. */
export async function requireTeam(folder: string): Promise<Team> {
  const team = await findTeam(folder)
  if (team.processes.length > 0) return team
  throw team.silent[0] ?? new ActorError('STOPPED', `No team runs in ${folder}: npm start, or --folder`, { details: { folder } })
}

/** The process that runs an agent, else one that knows of it. */
export function holderOf(team: Team, id: string): Process {
  const knowing = team.processes.filter(({ agents }) => agents.some((agent) => agent.id === id))
  const holder = knowing.find(({ agents }) => agents.some((agent) => agent.id === id && agent.status !== 'standby')) ?? knowing[0]
  if (holder) return holder
  const known = idsIn(team)
  const [silent] = team.silent
  if (silent) {
    const message = `"${id}" is in no process that answers. ${team.silent.map((one) => one.message).join('. ')}`
    throw new ActorError(silent.code, message, { cause: silent, details: { id, known } })
  }
  if (known.length === 0) throw new ActorError('STOPPED', 'The team does not run yet: it has no agents so far', { details: { id } })
  throw new ActorError('ACTOR_NOT_FOUND', `Agent not registered: there is no "${id}" in the running team, only ${known.join(', ')}`, {
    details: { id, known, ...suggestion(id, known) },
  })
}

/** Those that do not answer, for programs. */
export function silentAsJson({ silent }: Team): { readonly pid: unknown; readonly message: string }[] {
  return silent.map(({ message, details }) => ({ pid: details.pid, message }))
}

/** Says of those that do not answer that their part is missing. */
export function printSilent({ silent }: Team): void {
  for (const { message } of silent) console.error(styled('yellow', message, process.stderr))
}

/** The hint for a name that is mistyped. */
export function suggestion(id: string, known: readonly string[]): { readonly hint?: string } {
  const near = nearest(id, known)
  return near === undefined ? {} : { hint: `did you mean ${near}?` }
}

export function idsIn({ processes }: Team): string[] {
  return [...new Set(processes.flatMap(({ agents }) => agents.map(({ id }) => id)))]
}

/** Each agent once, as the process that runs it sees it. */
export function mergeAgents({ processes }: Team): (Agent & { readonly pid: number; readonly standbys: readonly number[] })[] {
  const rows = processes.flatMap(({ pid, agents }) => agents.map((agent) => ({ ...agent, pid })))
  return [...Map.groupBy(rows, ({ id }) => id).values()].flatMap((same) => {
    const holder = same.find(({ status }) => status !== 'standby') ?? same[0]
    const standbys = same.filter(({ status, pid }) => status === 'standby' && pid !== holder?.pid).map(({ pid }) => pid)
    return holder ? [{ ...holder, standbys }] : []
  })
}
