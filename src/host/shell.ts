import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, utimes } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { transform } from 'sucrase'
import packageJson from '../../package.json' with { type: 'json' }
import { keepNewest } from './code.ts'
import { writeWhole } from './write-whole.ts'

const source = join(import.meta.dirname, '..')
const entry = 'worker/main.ts'
/** What main.ts may import lies in these. */
const folders = ['worker', 'core'] as const
/** What actor files get by "troupe/actor": in a thread there must be one of each. */
const shared: ReadonlySet<string> = new Set(['actor.ts', 'core/errors.ts'])
/** Shells of other versions: a process of one may still run. */
const kept = 5
/** Ms in which a thread is needed at once, or not soon. */
const leisure = 100

/**
 * Writes what each actor's thread begins with, main.ts and all that it imports, as one script into `folder`, unless it is there, and
 * gives its path. Measured: from its 48 files a thread comes up in 1.9 times the time that a bare thread takes, from the script in 1.2.
 * The script's name is made of what it is made from and of this file, so whatever is changed makes another one.
 */
export async function writeShell(folder: string): Promise<string> {
  const files = await readSources()
  const maker = await readFile(import.meta.filename, 'utf8')
  const hash = createHash('sha256').update(`${source}\0${packageJson.dependencies.sucrase}\0${maker}\0`)
  for (const [name, text] of files) hash.update(`${name}\0${text.length}\0${text}`)
  const path = join(folder, `shell-${hash.digest('hex').slice(0, 16)}.cjs`)
  if (await isThere(path)) return path
  const { transform } = await import('sucrase')
  await mkdir(folder, { recursive: true })
  await writeWhole(path, joinFiles(files, transform))
  await removeOld(folder)
  return path
}

/** The files by their path in src, in a fixed order. */
async function readSources(): Promise<ReadonlyMap<string, string>> {
  const names = await Promise.all(folders.map(async (folder) => (await readdir(join(source, folder))).map((name) => `${folder}/${name}`)))
  const sorted = names.flat().toSorted()
  return new Map(await Promise.all(sorted.map(async (name) => [name, await readFile(join(source, name), 'utf8')] as const)))
}

async function isThere(path: string): Promise<boolean> {
  const now = new Date()
  return utimes(path, now, now).then(
    () => true,
    () => false,
  )
}

/** Makes each file a function, which is called for the first one that imports it. */
function joinFiles(files: ReadonlyMap<string, string>, to: typeof transform): string {
  const functions = new Map<string, string>()
  const add = (name: string): void => {
    if (functions.has(name)) return
    functions.set(name, '') // until it has one: files may import each other
    const text = files.get(name)
    if (text === undefined) throw new Error(`The shell of threads imports ${name}, which is not in src/${folders.join(' or src/')}`)
    const { code } = to(text, { transforms: ['typescript', 'imports'], disableESTransforms: true, preserveDynamicImport: true })
    const lazy = code.replace(/\brequire\(('node:[^']+')\)/g, 'lazily($1)')
    const linked = lazy
      .replace(/\brequire\('(\.[^']+)'\)/g, (_, specifier: string) => link(posix.join(name, '..', specifier)))
      .replaceAll('import.meta.dirname', JSON.stringify(join(source, name, '..')))
    functions.set(name, linked)
  }
  const link = (name: string): string => {
    if (shared.has(name)) return `require(${JSON.stringify(join(source, name))})`
    add(name)
    return `load(${JSON.stringify(name)})`
  }
  const start = link(entry)
  const members = [...functions].map(([name, code]) => `${JSON.stringify(name)}(exports) {\n${code}\n}`)
  return `'use strict'
const files = {
${members.join(',\n')}
}
// Of Node itself a thread needs little before its first turn: node:crypto alone takes a tenth of the time in which it comes up.
// One that stands by loads the rest in its leisure, one that somebody waits for with the first use.
const later = []
function lazily(name) {
  let found
  const get = () => (found ??= require(name))
  later.push(get)
  return new Proxy({}, { get: (_, key) => get()[key] })
}
const loaded = {}
function load(name) {
  if (loaded[name]) return loaded[name]
  loaded[name] = {}
  files[name](loaded[name])
  return loaded[name]
}
${start}
setTimeout(() => later.forEach((get) => get()), ${leisure}).unref()
`
}

async function removeOld(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => /^shell-[0-9a-f]{16}\.cjs$/.test(name))
  await keepNewest(folder, names, kept + 1)
}
