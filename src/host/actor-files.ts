import { readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { Manifest } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { JsonText } from '../core/message.ts'
import { copyVersion, type Version, withSources } from './code.ts'
import type { Probe } from './probe.ts'

/** A version of an actor file, and what it says of itself. */
export type ActorFile = { readonly version: Version; readonly manifest: Manifest }

export type LoadFileOptions = {
  readonly root: string
  /** Where copies of code are kept. */
  readonly code: string
  readonly probe: Pick<Probe, 'manifestOf'>
}

/** A file name with - or _ is one type. */
export function keyOf(type: string): string {
  return type.replaceAll('_', '-')
}

const endings = new Set(['.ts', '.mts', '.js', '.mjs'])

/** The actor files of a folder by type; two for one type are a fault only when that type is wanted. */
export async function actorFiles(folder: string): Promise<Map<string, readonly string[]>> {
  const names = await readdir(folder).catch((cause) => {
    throw new ActorError('CONFIG_INVALID', `Cannot read the folder of actor files ${folder}`, { cause, details: { folder } })
  })
  const files = new Map<string, readonly string[]>()
  for (const name of names.sort()) {
    const ending = extname(name)
    if (!endings.has(ending) || /\.(d|test)\.[mc]?ts$/.test(name)) continue
    const key = keyOf(name.slice(0, -ending.length))
    files.set(key, [...(files.get(key) ?? []), join(folder, name)])
  }
  return files
}

/** The folder of actor files, and the folders in it. */
export async function actorFolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return [folder, ...entries.filter((entry) => entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name))]
}

/**
 * Copies an actor file and loads the copy in a probe thread, which tries the args that it may be started with at the same time;
 * MODULE_INVALID naming the file, and its line where there is one.
 */
export async function loadActorFile(
  file: string,
  { root, code, probe }: LoadFileOptions,
  args: readonly JsonText[] = [],
): Promise<ActorFile> {
  const version = await copyVersion(file, { root, folder: code })
  try {
    return { version, manifest: await probe.manifestOf(version.file, args) }
  } catch (cause) {
    if (!(cause instanceof ActorError)) throw cause
    // People edit the file, not its copy.
    const message = cause.message.replaceAll(join(code, version.hash), root)
    throw withSources(new ActorError('MODULE_INVALID', message, { cause, details: { ...cause.details, file } }), version.sources)
  }
}
