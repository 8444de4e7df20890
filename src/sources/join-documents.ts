import type { AgentDocument } from './agent-document.ts'
import { idsOf, type Path } from './config.ts'
import { type Config, type MongodbSettings, teamSettings } from './schema.ts'
import type { Documents, Skipped, Wanted } from './source.ts'

/** What came of reading documents: those that there are, in a fixed order, or why there are none. */
export type Reading =
  | { readonly kind: 'read' | 'cut'; readonly documents: readonly AgentDocument[]; readonly limit: number }
  | { readonly kind: 'failed'; readonly error: string }

type Accepted = Extract<AgentDocument, { kind: 'wanted' }>

/**
 * Brings the agents of documents into what a file wants: they join the team of that name, or make one of their own. An id belongs to the
 * file, else to the first document that names it, also to one whose agent should not run; other documents of that id are skipped, as
 * are faulty ones.
 */
export function joinDocuments(wanted: Wanted, reading: Reading, team: MongodbSettings['team']): Wanted {
  if (reading.kind === 'failed') return { ...wanted, documents: { state: reading, ids: new Set(), skipped: [] } }
  const { accepted, skipped } = sort(reading.documents, ownersIn(wanted.config))
  const documents: Documents = {
    state: reading.kind === 'cut' ? { kind: 'cut', limit: reading.limit } : { kind: 'read' },
    ids: new Set(accepted.map(({ id }) => id)),
    skipped,
  }
  return { ...wanted, ...withAgents(wanted, accepted, team), documents }
}

/** Who has each id: by it, for people. */
function ownersIn({ teams }: Config): Map<string, string> {
  return new Map(teams.flatMap(({ agents }) => agents.flatMap(idsOf).map((id) => [id, 'the config file, which wins'] as const)))
}

function sort(documents: readonly AgentDocument[], owners: Map<string, string>) {
  const accepted: Accepted[] = []
  const skipped: Skipped[] = []
  for (const document of documents) {
    const { id, place } = document
    const owner = owners.get(id)
    if (owner === undefined) owners.set(id, place)
    if (document.kind === 'unwanted') continue
    if (owner !== undefined) skipped.push({ id, reason: `${place}: "${id}" is an agent of ${owner}`, mayStay: false })
    else if (document.kind === 'faulty') skipped.push({ id, reason: document.reason, mayStay: true })
    else accepted.push(document)
  }
  return { accepted, skipped }
}

function withAgents({ config, where }: Wanted, accepted: readonly Accepted[], id: string): Pick<Wanted, 'config' | 'where'> {
  if (accepted.length === 0) return { config, where }
  const found = config.teams.findIndex((team) => team.id === id)
  const index = found === -1 ? config.teams.length : found
  const own = config.teams[index]?.agents ?? []
  const joined = { ...(config.teams[index] ?? emptyTeam(id)), agents: [...own, ...accepted.map(({ settings }) => settings)] }
  return {
    config: { ...config, teams: config.teams.toSpliced(index, 1, joined) },
    where: (path) => documentAt(path, index, accepted, own.length) ?? where(path),
  }
}

function emptyTeam(id: string): Omit<Config['teams'][number], 'agents'> {
  return teamSettings.omit({ agents: true }).parse({ id })
}

function documentAt([teams, team, agents, agent]: Path, index: number, accepted: readonly Accepted[], first: number): string | undefined {
  if (teams !== 'teams' || team !== index || agents !== 'agents' || typeof agent !== 'number') return undefined
  return accepted[agent - first]?.place
}
