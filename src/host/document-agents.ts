import type { AgentSpec } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { AgentSettings } from '../sources/schema.ts'
import type { Documents, DocumentsState, Skipped } from '../sources/source.ts'
import { keyOf } from './actor-files.ts'
import type { LoadedTypes } from './actor-types.ts'
import type { Desired, DesiredOptions, DesiredTeam } from './desired.ts'

/** What became of the documents in a desired set. */
export type DesiredDocuments = {
  readonly state: DocumentsState
  /** Whether they have been read at all, now or before. */
  readonly isKnown: boolean
  /** The agents that are there because of a document. */
  readonly ids: ReadonlySet<string>
  readonly skipped: readonly SkippedAgent[]
}

/** A document that brought no agent. */
export type SkippedAgent = Pick<Skipped, 'id' | 'reason'> & {
  /** The agent that it stood for before runs on as it was. */
  readonly runsOn: boolean
}

type Given = { readonly settings: AgentSettings; readonly place: string }

/** Finds the documents whose agents cannot run: of an unknown or broken type, or with args that their actor refuses. */
export async function findUnfit(
  given: readonly Given[],
  { loaded, failures }: LoadedTypes,
  probe: DesiredOptions['probe'],
): Promise<Skipped[]> {
  const skip = ({ settings, place }: Given, why: string): Skipped => ({ id: settings.id, reason: `${place}: ${why}`, mayStay: true })
  const unfit: Skipped[] = []
  for (const [type, ofType] of Map.groupBy(given, ({ settings }) => keyOf(settings.type))) {
    const file = loaded.get(type)?.version.file
    if (file === undefined) {
      unfit.push(...ofType.map((one) => skip(one, failures.get(type)?.message ?? `"${type}" cannot be loaded`)))
      continue
    }
    const all = ofType.map(({ settings }) => settings)
    const issues = await issuesOf(file, all, probe)
    unfit.push(...ofType.flatMap((one, index) => (issues[index]?.length ? [skip(one, issues[index].join('; '))] : [])))
  }
  return unfit
}

/** What the schema of a file has against the args of each agent; one that never ends, or that ends its thread, has it against all. */
export async function issuesOf(
  file: string,
  given: readonly Pick<AgentSettings, 'args'>[],
  probe: DesiredOptions['probe'],
): Promise<readonly (readonly string[])[]> {
  try {
    return await probe.issuesOf(
      file,
      given.map(({ args }) => JSON.stringify(args)),
    )
  } catch (error) {
    if (!(error instanceof ActorError)) throw error
    return given.map(() => [error.message])
  }
}

export type Kept = {
  readonly teams: readonly DesiredTeam[]
  /** The ids of those that were kept. */
  readonly ids: ReadonlySet<string>
}

/**
 * Adds the agents of before that nobody wants to go: what their documents say now cannot be used, or cannot be read. `known` are the ids
 * that have an owner now.
 */
export function keepAgents(
  teams: readonly DesiredTeam[],
  { state }: Documents,
  skipped: readonly Skipped[],
  known: ReadonlySet<string>,
  before: Desired | undefined,
): Kept {
  const mayStay = new Set(skipped.flatMap(({ id, mayStay }) => (mayStay ? [id] : [])))
  const stays = ({ id }: AgentSpec) =>
    before?.documents?.ids.has(id) === true && !known.has(id) && (state.kind === 'failed' || mayStay.has(id))
  const kept = (before?.teams ?? []).flatMap((team) => ({ ...team, children: team.children.filter(stays) }))
  const others = kept.filter(({ id }) => !teams.some((team) => team.id === id))
  const joined = teams.map((team) => ({ ...team, children: [...team.children, ...childrenOf(kept, team.id)] }))
  return { teams: [...joined, ...others], ids: new Set(kept.flatMap(({ children }) => children.map(({ id }) => id))) }
}

function childrenOf(teams: readonly DesiredTeam[], id: string): readonly AgentSpec[] {
  return teams.find((team) => team.id === id)?.children ?? []
}
