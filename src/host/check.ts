import type { Manifest } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { Source, Wanted } from '../sources/source.ts'
import { actorFiles, keyOf, loadActorFile } from './actor-files.ts'
import { documentChanges } from './changes.ts'
import { type Desired, type DesiredOptions, desire } from './desired.ts'
import type { DocumentChanges } from './troupe-types.ts'

/** One actor file: what it says of itself, or nothing when it cannot be loaded, and the agents of the config that run it. */
export interface CheckedType {
  readonly type: string
  readonly file: string
  readonly manifest: Manifest | undefined
  readonly agents: readonly string[]
}

export interface Checked {
  /** Everything that is wrong, each with its file and, where there is one, its line. */
  readonly faults: readonly string[]
  readonly types: readonly CheckedType[]
  /** Absent where no database of documents is configured, or the config is faulty. */
  readonly documents: DocumentChanges | undefined
}

/** Looks at a config and at every actor file, also those that no agent runs, and starts nothing. */
export async function checkProject(source: Source, options: DesiredOptions): Promise<Checked> {
  const faults = new Set<string>()
  const note = (error: unknown): undefined => {
    if (!(error instanceof ActorError)) throw error
    for (const fault of faultsIn(error)) faults.add(fault)
  }
  const wanted = await source.read().catch(note)
  const desired = wanted && (await desire(wanted, options).catch(note))
  const types: CheckedType[] = []
  const files = await actorFiles(options.actors).catch(note)
  for (const file of [...(files?.values() ?? [])].flat()) {
    const loaded = await loadActorFile(file, options).catch(note)
    const type = typeOf(file)
    types.push({ type, file, manifest: loaded?.manifest, agents: agentsOf(type, wanted, desired) })
  }
  return { faults: [...faults], types, documents: desired?.documents && documentChanges(desired.documents) }
}

function faultsIn({ message, details }: ActorError): readonly string[] {
  const { faults, file } = details
  // What is wrong inside an actor file is told as one sentence that names the file.
  return Array.isArray(faults) && file === undefined ? faults.map(String) : [message]
}

function typeOf(file: string): string {
  return keyOf(file.replace(/^.*[\\/]/, '').replace(/\.[^.]*$/, ''))
}

/** With AGENT_MODE or with faults not all of them are in what would run; the config's own entries are. */
function agentsOf(type: string, wanted: Wanted | undefined, desired: Desired | undefined): string[] {
  const running = desired?.teams.flatMap(({ children }) => children) ?? wanted?.config.teams.flatMap(({ agents }) => agents) ?? []
  return running.filter((agent) => keyOf(agent.type) === type).map(({ id }) => id)
}
