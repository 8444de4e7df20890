import { plan } from '../core/plan.ts'
import type { Config } from '../sources/schema.ts'
import type { Desired } from './desired.ts'
import type { DesiredDocuments } from './document-agents.ts'
import type { Changes, DocumentChanges } from './troupe-types.ts'
import type { Versions } from './versions.ts'

/** What is made once, when the process starts: sockets, threads and leases are not replaced under agents that run. */
const lasting = ['store', 'leases', 'http', 'llm', 'compute'] as const satisfies (keyof Config)[]

/** What a reload stops and starts, which documents it skips, and what has to wait as this process has `started` with something else. */
export function changesOf(before: Desired, after: Desired, versions: Versions, started: Config): Changes {
  const running = new Map(before.teams.map(({ id, children }) => [id, new Map(children.map((spec) => [spec.id, versions.resolve(spec)]))]))
  const ids = new Set([...running.keys(), ...after.teams.map(({ id }) => id)])
  const teams = [...ids].map((team) => {
    const children = after.teams.find(({ id }) => id === team)?.children ?? []
    const { stop, start } = plan(running.get(team) ?? new Map(), children.map(versions.resolve))
    return { team, stop, start: start.map(({ id }) => id) }
  })
  const { documents } = after
  const later = lasting.filter((section) => JSON.stringify(started[section]) !== JSON.stringify(after.config[section]))
  return {
    teams: teams.filter(({ stop, start }) => stop.length + start.length > 0),
    ...(later.length > 0 && { later }),
    ...(documents && { documents: documentChanges(documents) }),
  }
}

/** Which documents brought no agent, and how far they could be read. */
export function documentChanges({ state, skipped }: DesiredDocuments): DocumentChanges {
  return { ...state, skipped }
}
