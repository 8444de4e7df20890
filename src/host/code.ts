import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, readlink, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { dirname, extname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ActorError } from '../core/errors.ts'
import { writeWhole } from './write-whole.ts'

/** One version of an actor file: a copy of it and of everything it imports relatively, under a name made of their contents. */
export type Version = {
  readonly hash: string
  /** The copy that threads load. */
  readonly file: string
  /** The files it was made from: what to watch. Who is refused for them has them in the error, see sourcesIn. */
  readonly sources: readonly string[]
}

type Options = {
  /** The project: what an actor file may import relatively lies in it. */
  readonly root: string
  /** Where copies are kept. */
  readonly folder: string
}

/**
 * Copies an actor file and its relative imports to `folder/<hash>/`, unless that copy exists. Threads load from copies only, so a
 * change of a file touches nobody until it has been accepted, and an older version stays at hand.
 * Throws MODULE_INVALID naming the file that is missing or lies outside of the project.
 */
export async function copyVersion(entry: string, { root, folder }: Options): Promise<Version> {
  const looked = new Set<string>()
  const files = await readWithImports(resolve(entry), root, looked).catch((error: unknown) => {
    throw error instanceof ActorError ? withSources(error, [...looked]) : error
  })
  const hash = createHash('sha256')
  for (const [path, content] of files) hash.update(`${path}\0${content.length}\0`).update(content)
  const name = hash.digest('hex').slice(0, 16)
  const target = join(folder, name)
  const sources = files.map(([path]) => join(root, path))
  const file = join(target, relative(root, resolve(entry)))
  await linkProject(root, folder)
  if (await exists(target)) {
    for (const [path, content] of files) await mend(join(target, path), content)
    const now = new Date()
    await utimes(target, now, now) // the newest ones survive pruneVersions
    return { hash: name, file, sources }
  }
  const draft = join(folder, `.${name}-${randomUUID()}`)
  try {
    for (const [path, content] of files) {
      await mkdir(dirname(join(draft, path)), { recursive: true })
      await writeFile(join(draft, path), content)
    }
    await rename(draft, target)
  } catch (error) {
    // On a full disk each reload would take what has become free since the last one.
    await rm(draft, { recursive: true, force: true }).catch(() => {})
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error // else another process was first
  }
  return { hash: name, file, sources }
}

/** Writes what is not there as it should be. A copy may have been half removed when its process died, or half written when the power went. */
async function mend(path: string, content: Buffer): Promise<void> {
  const found = await readFile(path).catch(() => undefined)
  if (found?.equals(content)) return
  await mkdir(dirname(path), { recursive: true })
  await writeWhole(path, content)
}

/** Removes the oldest copies, except those in use. */
export async function pruneVersions(folder: string, { inUse, keep = 20 }: { inUse: ReadonlySet<string>; keep?: number }): Promise<void> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^[0-9a-f]{16}$/.test(name) && !inUse.has(name))
  await keepNewest(folder, names, keep)
}

/** Removes all of these but the newest; another process may be at it, too. */
export async function keepNewest(folder: string, names: readonly string[], keep: number): Promise<void> {
  const found = await Promise.all(names.map(async (name) => ({ name, at: await changedAt(join(folder, name)) })))
  const aged = found.flatMap(({ name, at }) => (at === undefined ? [] : [{ name, at }]))
  const old = aged.sort((a, b) => b.at - a.at).slice(keep)
  await Promise.all(old.map(({ name }) => rm(join(folder, name), { recursive: true, force: true })))
}

async function changedAt(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
}

/** The same error with the files that it is about: what to watch until one of them is put right, or comes. */
export function withSources({ code, message, cause, details }: ActorError, sources: readonly string[]): ActorError {
  return new ActorError(code, message, { ...(cause !== undefined && { cause }), details: { ...details, sources } })
}

/** The files that an error is about; none where nobody said. */
export function sourcesIn(error: unknown): readonly string[] {
  const sources = error instanceof ActorError ? error.details.sources : undefined
  return Array.isArray(sources) ? sources.map(String) : []
}

/** The files of a version with their contents, by their path in the project, in a fixed order. `looked` gets them too, and what is missing. */
async function readWithImports(entry: string, root: string, looked: Set<string>): Promise<[string, Buffer][]> {
  const found = new Map<string, Buffer>()
  const open = [entry]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    looked.add(path)
    const name = relative(root, path).split(sep).join('/')
    if (found.has(name)) continue
    if (name.startsWith('..')) {
      throw new ActorError('MODULE_INVALID', `${entry} imports ${path}, which is outside of the project ${root}`, {
        details: { entry, path },
      })
    }
    const content = await readFile(path).catch((cause) => {
      throw new ActorError('MODULE_INVALID', `Cannot read ${path}${path === entry ? '' : `, which ${entry} needs`}`, {
        cause,
        details: { entry, path },
      })
    })
    found.set(name, content)
    if (/\.[mc]?[jt]s$/.test(path)) for (const target of relativeImports(content.toString())) open.push(await fileOf(target, path))
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Relative specifiers of imports and exports, and URLs of files that threads load: tasks, for one. A computed one is not seen. */
function relativeImports(source: string): string[] {
  const code = source.replace(commentOrText, '$1')
  const imports = code.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])(\.{1,2}\/[^'"\n]+)\1/g)
  const urls = code.matchAll(/\bnew URL\(\s*(['"`])(\.{1,2}\/[^'"`$\n]+)\1\s*,\s*import\.meta\.url\b/g)
  return [...imports, ...urls].map(([, , specifier = '']) => specifier)
}

/**
 * Texts are found to be kept: what looks like a comment in one, as in an Accept header, is none. So are comments behind code, which may
 * have the beginning of another one in them.
 */
const commentOrText = /\/\*[\s\S]*?\*\/|^\s*\/\/[^\n]*|((['"])(?:\\.|(?!\2)[^\\\n])*\2|`(?:\\.|[^\\`])*`|\/\/[^\n]*)/gm

/** The file of a specifier, which is a URL: it may have a hash, such as the name of a task. */
async function fileOf(specifier: string, from: string): Promise<string> {
  const path = pathOf(specifier, from)
  return extname(path) === '' && (await exists(`${path}.ts`)) ? `${path}.ts` : path
}

function pathOf(specifier: string, from: string): string {
  try {
    return fileURLToPath(new URL(specifier, pathToFileURL(from)))
  } catch (cause) {
    throw new ActorError('MODULE_INVALID', `${from} imports ${JSON.stringify(specifier)}, which names no file`, {
      cause,
      details: { from },
    })
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/**
 * Lets copies find packages and "troupe/actor" where the folder lies outside of the project, as on a container's volume: Node
 * looks for both in the folders above the importing file.
 */
async function linkProject(root: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  if (!relative(root, folder).startsWith('..')) return
  await mend(join(folder, 'package.json'), await readFile(join(root, 'package.json')))
  for (const name of ['node_modules', 'src']) await link(join(root, name), join(folder, name))
}

/** One that leads elsewhere is of a project that was elsewhere; what is no link is somebody's own. */
async function link(target: string, path: string): Promise<void> {
  const found = await readlink(path).catch(({ code }: NodeJS.ErrnoException) => (code === 'ENOENT' ? undefined : target))
  if (found === target) return
  const draft = join(dirname(path), `.link-${randomUUID()}`)
  await symlink(target, draft)
  await rename(draft, path)
}
