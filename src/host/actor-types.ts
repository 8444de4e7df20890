import { join } from 'node:path'
import { ActorError } from '../core/errors.ts'
import type { JsonText } from '../core/message.ts'
import { type ActorFile, keyOf, type LoadFileOptions, loadActorFile } from './actor-files.ts'

/** What came of looking for the actor files of some types. */
export type LoadedTypes = {
  readonly loaded: ReadonlyMap<string, ActorFile>
  /** By type as well: there is no file, or it is not fit. */
  readonly failures: ReadonlyMap<string, ActorError>
}

type Options = LoadFileOptions & { readonly actors: string }

/** A type that is wanted, and the args of one of its agents, to be tried while its file is loaded. */
export type WantedType = { readonly type: string; readonly args: JsonText | undefined }

/** Loads the actor file of each type; one that fails holds up no other. */
export async function loadTypes(
  wanted: readonly WantedType[],
  files: ReadonlyMap<string, readonly string[]>,
  options: Options,
): Promise<LoadedTypes> {
  const loaded = new Map<string, ActorFile>()
  const failures = new Map<string, ActorError>()
  // One after the other: a probe is a thread, and a big team may have many types.
  for (const [key, same] of Map.groupBy(wanted, ({ type }) => keyOf(type))) {
    const args = new Set(same.flatMap((one) => one.args ?? []))
    try {
      loaded.set(key, await loadType(same.at(-1)?.type ?? key, files, options, [...args]))
    } catch (error) {
      if (!(error instanceof ActorError)) throw error
      failures.set(key, error)
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

async function loadType(
  type: string,
  files: ReadonlyMap<string, readonly string[]>,
  options: Options,
  args: readonly JsonText[],
): Promise<ActorFile> {
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
  return await loadActorFile(file, options, args)
}
