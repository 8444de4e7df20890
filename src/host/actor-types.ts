import { join } from 'node:path'
import { ActorError } from '../core/errors.ts'
import { type ActorFile, keyOf, type LoadFileOptions, loadActorFile } from './actor-files.ts'

/** What came of looking for the actor files of some types. */
export type LoadedTypes = {
  readonly loaded: ReadonlyMap<string, ActorFile>
  /** By type as well: there is no file, or it is not fit. */
  readonly failures: ReadonlyMap<string, ActorError>
}

type Options = LoadFileOptions & { readonly actors: string }

/** Loads the actor file of each type; one that fails holds up no other. */
export async function loadTypes(
  types: readonly string[],
  files: ReadonlyMap<string, readonly string[]>,
  options: Options,
): Promise<LoadedTypes> {
  const loaded = new Map<string, ActorFile>()
  const failures = new Map<string, ActorError>()
  // One after the other: a probe is a thread, and a big team may have many types.
  for (const type of new Map(types.map((one) => [keyOf(one), one])).values()) {
    try {
      loaded.set(keyOf(type), await loadType(type, files, options))
    } catch (error) {
      if (!(error instanceof ActorError)) throw error
      failures.set(keyOf(type), error)
    }
  }
  return { loaded, failures }
}

/** The files that a type is looked for in: what to watch while there is none that can be loaded. */
export function filesFor(type: string, files: ReadonlyMap<string, readonly string[]>, actors: string): readonly string[] {
  return files.get(keyOf(type)) ?? [...new Set([type, keyOf(type)])].map((name) => join(actors, `${name}.ts`))
}

/** Whether an error is about the name of a type, and so about the place that it stands at, and not about a file. */
export function isAboutName({ details }: ActorError): boolean {
  return details.type !== undefined
}

async function loadType(type: string, files: ReadonlyMap<string, readonly string[]>, options: Options): Promise<ActorFile> {
  const found = files.get(keyOf(type)) ?? []
  const [file] = found
  if (file === undefined) {
    const known = [...files.keys()].join(', ') || 'none'
    throw new ActorError(
      'CONFIG_INVALID',
      `there is no actor file for "${type}": expected ${join(options.actors, `${type}.ts`)}, found ${known}`,
      { details: { type } },
    )
  }
  if (found.length > 1) {
    throw new ActorError('MODULE_INVALID', `two actor files for "${type}": ${found.join(' and ')}; remove one`, { details: { type } })
  }
  return await loadActorFile(file, options)
}
