import type * as z from 'zod'
import { nearest } from '../core/nearest.ts'
import type { relations } from '../store/functions/relations.ts'
import type { Store } from '../store/store.ts'
import { call } from './connect.ts'
import type { Job } from './jobs.ts'
import { type Agent, findTeam, mergeAgents, suggestion, type Team } from './team.ts'
import { shortly, since } from './times.ts'

type Registered = Pick<z.output<(typeof relations)['v_agent_dashboard']>, 'agent_id' | 'health_status' | 'blocked_reason'> & {
  readonly minutes_since_heartbeat: number
}

/** Who may take jobs: the agents of the team that runs here with the job types of each agent type, and all that the store knows. */
export interface Takers {
  readonly folder: string
  readonly isRunning: boolean
  /** Why others, which are there, do not answer: any of their agents may take jobs. */
  readonly silent: readonly string[]
  readonly agents: readonly Pick<Agent, 'id' | 'type' | 'status' | 'says'>[]
  readonly jobTypes: ReadonlyMap<string, readonly string[]>
  readonly known: readonly Registered[]
}

const shown = 3

/** Looks who there is, where one of the jobs waits for anybody; without a store only at what runs here. */
export async function findTakers(store: Store | undefined, folder: string, jobs: readonly Job[]): Promise<Takers | undefined> {
  if (!jobs.some(({ status }) => status === 'pending')) return undefined
  const [team, known] = await Promise.all([findTeam(folder), store?.read('v_agent_dashboard', {}, { limit: 1_000 }) ?? []])
  const silent = team.silent.map(({ message }) => message)
  return { folder, isRunning: team.processes.length > 0, silent, agents: mergeAgents(team), jobTypes: await jobTypesOf(team), known }
}

/** The job types that each agent type takes, by one agent of each. */
async function jobTypesOf({ processes }: Team): Promise<Map<string, readonly string[]>> {
  const asked = new Map(processes.flatMap(({ address, agents }) => agents.map(({ id, type }) => [type, { id, address }] as const)))
  const entries = [...asked].map(async ([type, { id, address }]) => {
    // A process that ends just now: its agents take nothing any more.
    const why = await call(address, 'why', { agent: id }).catch(() => undefined)
    return [type, Object.keys(why?.manifest?.jobs ?? {})] as const
  })
  return new Map(await Promise.all(entries))
}

/** What a pending job waits for, for people; undefined for any other. */
export function waitsFor(job: Job, takers: Takers | undefined, now: number): string | undefined {
  if (job.status !== 'pending' || takers === undefined) return undefined
  if (Date.parse(job.run_at) > now) return `its time, ${since(job.run_at, now)}`
  return job.target_agent === null ? waitsForAnyone(job, takers) : waitsForTarget(job.target_agent, job, takers)
}

function waitsForAnyone({ job_type: type }: Pick<Job, 'job_type'>, takers: Takers): string {
  const { folder, isRunning, silent, agents, jobTypes, known } = takers
  const able = agents.filter((agent) => jobTypes.get(agent.type)?.includes(type))
  if (able.length > 0) {
    const free = able.find((agent) => hindranceOf(agent) === undefined)
    if (free) return `an agent to be free, such as ${free.id}`
    const why = able.slice(0, shown).map((agent) => `${agent.id}, which ${hindranceOf(agent)}`)
    return `${why.join('; ')}${able.length > shown ? `; and ${able.length - shown} more` : ''}`
  }
  const others = known.some((one) => one.health_status === 'healthy' && !agents.some(({ id }) => id === one.agent_id))
  const elsewhere = [...silent, ...(others ? ['agents that run elsewhere may take it'] : [])].map((text) => `; ${text}`).join('')
  if (!isRunning && silent.length > 0) return `an agent that takes ${type}: none is known here${elsewhere}`
  if (!isRunning) return `an agent that takes ${type}: no team runs in ${folder} (npm start)${elsewhere}`
  const near = nearest(type, [...jobTypes.values()].flat())
  return `an agent that takes ${type}: none of those that run here does${near === undefined ? '' : `; did you mean ${near}?`}${elsewhere}`
}

function waitsForTarget(target: string, { job_type: type }: Pick<Job, 'job_type'>, takers: Takers): string {
  const { agents, jobTypes, known } = takers
  const here = agents.find(({ id }) => id === target)
  if (here) {
    if (jobTypes.get(here.type)?.includes(type) === false) return `its target ${target}, which takes no ${type}`
    const hindrance = hindranceOf(here)
    return hindrance === undefined ? `its target ${target} to be free` : `its target ${target}, which ${hindrance}`
  }
  const row = known.find(({ agent_id: id }) => id === target)
  if (row === undefined) {
    const { hint } = suggestion(target, [...agents.map(({ id }) => id), ...known.map(({ agent_id: id }) => id)])
    return `its target ${target}: nobody is called so so far${hint ? `; ${hint}` : ''}`
  }
  const silent = shortly(row.minutes_since_heartbeat * 60_000)
  if (row.health_status !== 'healthy' || !takers.isRunning) return `its target ${target}, which was last heard of ${silent} ago`
  return `its target ${target}, which runs elsewhere${row.blocked_reason === null ? '' : ` and is blocked: ${row.blocked_reason}`}`
}

/** Why an agent takes nothing now; undefined for one that does when it has done what it has. */
function hindranceOf({ id, status, says }: Takers['agents'][number]): string | undefined {
  switch (status) {
    case 'running':
      return says?.startsWith('blocked') ? `is ${says}` : undefined
    case 'paused':
      return `is paused, until: troupe resume ${id}`
    case 'quarantined':
      return `is in quarantine: troupe why ${id}`
    case 'standby':
      return 'runs in another process'
    case 'waiting':
      return 'is started again soon'
    default:
      return `is ${status}`
  }
}
