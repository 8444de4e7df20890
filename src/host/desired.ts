import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentSpec, Manifest } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { TeamSpec } from '../core/spec.ts'
import { idsOf, type Path } from '../sources/config.ts'
import type { AgentSettings, Config } from '../sources/schema.ts'
import type { Wanted } from '../sources/source.ts'
import { type ActorFile, actorFiles, keyOf, loadActorFile } from './actor-files.ts'
import type { Version } from './code.ts'

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
}

export interface DesiredOptions {
  readonly root: string
  /** The folder of actor files. */
  readonly actors: string
  /** Where copies of code are kept. */
  readonly code: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly probe: { manifestOf(file: string): Promise<Manifest> }
}

type Entry = { readonly settings: AgentSettings; readonly path: Path }

/**
 * Makes of a config and a folder of actor files what should run, or throws everything that is wrong with them at once: CONFIG_INVALID or
 * MODULE_INVALID, with file, line and what to do.
 */
export async function desire(wanted: Wanted, options: DesiredOptions): Promise<Desired> {
  const { config, where } = wanted
  const files = await actorFiles(options.actors)
  const entries = config.teams.map(({ agents }, t) => agents.map((settings, a) => ({ settings, path: ['teams', t, 'agents', a] })))
  const mode = modeOf(entries.flat(), options.env)
  const types = [...new Map(entries.flat().map((entry) => [keyOf(entry.settings.type), entry])).values()]
  const { loaded, failures } = await loadTypes(types, files, { ...options, where })
  const faults = entries.flat().flatMap((entry) => faultsOf(entry, loaded.get(keyOf(entry.settings.type))?.manifest, where))
  requireNone(failures, faults)

  const manifests = new Map<string, Manifest>()
  const instances = new Map<string, string>()
  const teams = config.teams.map(({ agents, ...team }) => {
    const own = agents.filter(({ type }) => mode === undefined || keyOf(type) === mode)
    const children = own.flatMap((settings) => {
      const type = loaded.get(keyOf(settings.type))
      if (type === undefined) return []
      return idsOf(settings).map((id) => {
        manifests.set(id, type.manifest)
        if (mode !== undefined && settings.replicas !== undefined) instances.set(id, settings.id)
        return specOf(id, settings, team.id, type.version)
      })
    })
    return { ...team, children }
  })
  const sources = [...new Set([...loaded.values()].flatMap(({ version }) => version.sources))]
  const changes = await Promise.all(sources.map(async (file) => (await stat(file)).mtimeMs))
  return {
    config,
    teams: teams.filter(({ children }) => children.length > 0),
    manifests,
    sources,
    stamp: Math.floor(Math.max(wanted.changedAt, ...changes)),
    instances,
  }
}

function modeOf(entries: readonly Entry[], env: DesiredOptions['env']): string | undefined {
  const mode = env.AGENT_MODE?.trim()
  if (!mode) return undefined
  const types = [...new Set(entries.map(({ settings }) => settings.type))]
  if (types.some((type) => keyOf(type) === keyOf(mode))) return keyOf(mode)
  throw new ActorError('CONFIG_INVALID', `AGENT_MODE is "${mode}", expected a type of the config: ${types.join(', ')}`)
}

type LoadOptions = DesiredOptions & Pick<Wanted, 'where'>

async function loadTypes(entries: readonly Entry[], files: ReadonlyMap<string, readonly string[]>, options: LoadOptions) {
  const loaded = new Map<string, ActorFile>()
  const failures: ActorError[] = []
  // One after the other: a probe is a thread, and a big team may have many types.
  for (const entry of entries) {
    try {
      loaded.set(keyOf(entry.settings.type), await loadType(entry, files, options))
    } catch (error) {
      if (!(error instanceof ActorError)) throw error
      failures.push(error)
    }
  }
  return { loaded, failures }
}

async function loadType(
  { settings, path }: Entry,
  files: ReadonlyMap<string, readonly string[]>,
  options: LoadOptions,
): Promise<ActorFile> {
  const { type } = settings
  const found = files.get(keyOf(type)) ?? []
  const [file] = found
  const at = options.where([...path, 'type'])
  if (file === undefined) {
    const known = [...files.keys()].join(', ') || 'none'
    throw new ActorError(
      'CONFIG_INVALID',
      `${at}: there is no actor file for "${type}": expected ${join(options.actors, `${type}.ts`)}, found ${known}`,
    )
  }
  if (found.length > 1) throw new ActorError('MODULE_INVALID', `${at}: two actor files for "${type}": ${found.join(' and ')}; remove one`)
  return await loadActorFile(file, options)
}

/** One error for all that is wrong. */
function requireNone(failures: readonly ActorError[], faults: readonly string[]): void {
  const all = [...failures.map(({ message }) => message), ...faults]
  if (all.length === 0) return
  const [first] = failures
  if (first && all.length === 1) throw first
  throw new ActorError(first?.code ?? 'CONFIG_INVALID', all.join('\n'), { ...(first && { cause: first }), details: { faults: all } })
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
