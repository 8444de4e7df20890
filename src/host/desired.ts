import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import type { AgentSpec, Manifest } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { TeamSpec } from '../core/spec.ts'
import { idsOf, type Path } from '../sources/config.ts'
import type { AgentSettings, Config } from '../sources/schema.ts'
import type { Documents, Skipped, Wanted } from '../sources/source.ts'
import { actorFiles, keyOf } from './actor-files.ts'
import { filesFor, isAboutName, type LoadedTypes, loadTypes } from './actor-types.ts'
import { sourcesIn, type Version, withSources } from './code.ts'
import { type DesiredDocuments, findUnfit, issuesOf, keepAgents } from './document-agents.ts'
import type { Probe } from './probe.ts'

/** A team with everything there is to know to run its agents. */
export type DesiredTeam = Omit<TeamSpec, 'children'> & { readonly children: readonly AgentSpec[] }

/** What should run in this process. */
export interface Desired {
  readonly config: Config
  readonly teams: readonly DesiredTeam[]
  /** By agent id. */
  readonly manifests: ReadonlyMap<string, Manifest>
  /** The files that it was made from, without the config's own. */
  readonly sources: readonly string[]
  /** Newer than the stamp of any older config: the latest change of one of its files, in ms since 1970. */
  readonly stamp: number
  /** With AGENT_MODE: the entry that an agent is one of several instances of. A process runs one instance of each. */
  readonly instances: ReadonlyMap<string, string>
  /** Absent where no database of documents is configured. */
  readonly documents?: DesiredDocuments
}

export interface DesiredOptions {
  readonly root: string
  /** The folder of actor files. */
  readonly actors: string
  /** Where copies of code are kept. */
  readonly code: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly probe: Probe
}

type Entry = { readonly settings: AgentSettings; readonly path: Path }
type Found = { readonly where: Wanted['where']; readonly argFaults: readonly string[]; readonly sources: readonly string[] }

/**
 * Makes of a config and a folder of actor files what should run, or throws everything that is wrong with them at once: CONFIG_INVALID or
 * MODULE_INVALID, with file, line and what to do. What is wrong with a document costs its own agent only, and one that ran `before`
 * runs on as it was.
 */
export async function desire(wanted: Wanted, options: DesiredOptions, before?: Desired): Promise<Desired> {
  const { config, where, documents } = wanted
  const files = await actorFiles(options.actors)
  const entries = config.teams.flatMap(({ agents }, t) => agents.map((settings, a) => ({ settings, path: ['teams', t, 'agents', a] })))
  const isOfDocument = ({ id, replicas }: AgentSettings) => replicas === undefined && documents?.ids.has(id) === true
  const own = entries.filter(({ settings }) => !isOfDocument(settings))
  const others = entries.filter(({ settings }) => isOfDocument(settings))
  const mode = modeOf(entries, options.env, documents ? files : new Map())
  const types = await loadTypes(
    entries.map(({ settings }) => ({ type: settings.type, args: isOfDocument(settings) ? undefined : JSON.stringify(settings.args) })),
    files,
    options,
  )
  const sources = [...sourcesOf(types, entries), ...others.flatMap(({ settings }) => filesFor(settings.type, files, options.actors))]
  requireFit(own, types, { where, argFaults: await argFaultsOf(own, types, { where, probe: options.probe }), sources })
  const unfit = await findUnfit(
    others.map(({ settings, path }) => ({ settings, place: where(path) })),
    types,
    options.probe,
  )
  const left = new Set(unfit.map(({ id }) => id))

  const manifests = new Map<string, Manifest>()
  const instances = new Map<string, string>()
  const made = config.teams.map(({ agents, ...team }) => {
    const fit = agents.filter((agent) => !(isOfDocument(agent) && left.has(agent.id)))
    const wanted = fit.filter(({ type }) => mode === undefined || keyOf(type) === mode)
    const children = wanted.flatMap((settings) => {
      const type = types.loaded.get(keyOf(settings.type))
      if (type === undefined) return []
      return idsOf(settings).map((id) => {
        manifests.set(id, type.manifest)
        if (mode !== undefined && settings.replicas !== undefined) instances.set(id, settings.id)
        return specOf(id, settings, team.id, type.version)
      })
    })
    return { ...team, children }
  })
  const desired = {
    config,
    teams: made,
    manifests,
    sources,
    stamp: Math.max(wanted.changedAt, await latestChange(sourcesOf(types, own))),
    instances,
  }
  const known = new Set(entries.flatMap(({ settings }) => (left.has(settings.id) ? [] : idsOf(settings))))
  return withoutEmptyTeams(documents ? withDocuments(desired, documents, unfit, known, before) : desired)
}
function withDocuments(
  desired: Desired,
  documents: Documents,
  unfit: readonly Skipped[],
  known: ReadonlySet<string>,
  before: Desired | undefined,
): Desired {
  const skipped = [...documents.skipped, ...unfit].sort((a, b) => (a.id < b.id ? -1 : 1))
  const kept = keepAgents(desired.teams, documents, skipped, known, before)
  const manifests = new Map([...(before?.manifests ?? [])].filter(([id]) => kept.ids.has(id)).concat([...desired.manifests]))
  const ids = desired.teams.flatMap(({ children }) => children.flatMap(({ id }) => (documents.ids.has(id) ? [id] : [])))
  return {
    ...desired,
    teams: kept.teams,
    manifests,
    documents: {
      state: documents.state,
      isKnown: documents.state.kind !== 'failed' || before?.documents?.isKnown === true,
      ids: new Set([...ids, ...kept.ids]),
      skipped: skipped.map(({ id, reason, mayStay }) => ({ id, reason, runsOn: mayStay && kept.ids.has(id) })),
    },
  }
}

function withoutEmptyTeams(desired: Desired): Desired {
  return { ...desired, teams: desired.teams.filter(({ children }) => children.length > 0) }
}

/** The files that the entries' actors are made of, or would be. */
function sourcesOf({ loaded, failures }: LoadedTypes, entries: readonly Entry[]): string[] {
  const types = new Set(entries.map(({ settings }) => keyOf(settings.type)))
  return [...new Set([...types].flatMap((type) => loaded.get(type)?.version.sources ?? sourcesIn(failures.get(type))))]
}

/**
 * Of the config's own entries only: a document comes and goes without a change of any file, and a process whose stamp went back with
 * it would have to stand by for its own agents.
 */
async function latestChange(files: readonly string[]): Promise<number> {
  const changes = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs))
  return Math.floor(Math.max(0, ...changes))
}

/** With documents every type that there is a file for will do: its document may come and go. */
function modeOf(entries: readonly Entry[], env: DesiredOptions['env'], files: ReadonlyMap<string, unknown>): string | undefined {
  const mode = env.AGENT_MODE?.trim()
  if (!mode) return undefined
  const types = [...new Set(entries.map(({ settings }) => settings.type))]
  if (types.some((type) => keyOf(type) === keyOf(mode)) || files.has(keyOf(mode))) return keyOf(mode)
  throw new ActorError('CONFIG_INVALID', `AGENT_MODE is "${mode}", expected a type of the config: ${types.join(', ')}`)
}

/** One error for all that is wrong. */
function requireFit(entries: readonly Entry[], { loaded, failures }: LoadedTypes, { where, argFaults, sources }: Found): void {
  const failed = [...new Map(entries.map((entry) => [keyOf(entry.settings.type), entry])).entries()].flatMap(([type, { path }]) => {
    const failure = failures.get(type)
    return failure === undefined ? [] : [isAboutName(failure) ? placed(failure, where([...path, 'type'])) : failure]
  })
  const faults = entries.flatMap((entry) => faultsOf(entry, loaded.get(keyOf(entry.settings.type))?.manifest, where))
  const all = [...failed.map(({ message }) => message), ...faults, ...argFaults]
  if (all.length === 0) return
  const [first] = failed
  if (first && all.length === 1) throw withSources(first, sources)
  const details = { faults: all, sources }
  throw new ActorError(first?.code ?? 'CONFIG_INVALID', all.join('\n'), { ...(first && { cause: first }), details })
}

/** What the actors of the entries have against their args. */
async function argFaultsOf(
  entries: readonly Entry[],
  { loaded }: LoadedTypes,
  { where, probe }: { readonly where: Wanted['where']; readonly probe: Probe },
): Promise<string[]> {
  const faults: string[] = []
  for (const [type, ofType] of Map.groupBy(entries, ({ settings }) => keyOf(settings.type))) {
    const file = loaded.get(type)?.version.file
    if (file === undefined) continue
    const all = ofType.map(({ settings }) => settings)
    const issues = await issuesOf(file, all, probe)
    faults.push(...ofType.flatMap(({ path }, index) => (issues[index] ?? []).map((issue) => `${where([...path, 'args'])}: ${issue}`)))
  }
  return faults
}

function placed({ code, message }: ActorError, at: string): ActorError {
  return new ActorError(code, `${at}: ${message}`)
}

function faultsOf({ settings, path }: Entry, manifest: Manifest | undefined, where: Wanted['where']): string[] {
  if (manifest === undefined) return []
  return [...durabilityFaults({ settings, path }, manifest, where), ...timeoutFaults({ settings, path }, manifest, where)]
}

function durabilityFaults({ settings, path }: Entry, { persist }: Manifest, where: Wanted['where']): string[] {
  if (!persist || settings.durability !== 'async') return []
  const says = `"${settings.type}" saves its state with each turn (persist: true), which an async mailbox has none of`
  return [`${where([...path, 'durability'])}: ${says}: take durability away, or persist out of the actor file`]
}

function timeoutFaults({ settings, path }: Entry, { messages, jobs }: Manifest, where: Wanted['where']): string[] {
  const known = [...new Set([...Object.keys(messages), ...Object.keys(jobs)])]
  const unknown = Object.keys(settings.turnTimeouts).filter((type) => !known.includes(type))
  return unknown.map((type) => {
    const at = [...path, 'turnTimeouts', type]
    return `${where(at)}: "${settings.type}" has no message or job "${type}", expected one of ${known.join(', ') || 'none'}`
  })
}

function specOf(id: string, settings: AgentSettings, team: string, { hash, file }: Version): AgentSpec {
  const { id: _, replicas: __, args, ...policy } = settings
  const spec = { ...policy, id, team, args: JSON.stringify(args) }
  return {
    ...spec,
    file,
    version: createHash('sha256')
      .update(JSON.stringify([spec, hash]))
      .digest('hex')
      .slice(0, 16),
  }
}
