import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, readlink, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { copyVersion, keepNewest, pruneVersions } from '../../src/host/code.ts'
import { tempFolder } from '../helpers.ts'

const run = promisify(execFile)

async function project(files: Record<string, string>) {
  const folder = await tempFolder()
  await mkdir(join(folder.path, 'actors/lib'), { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text)
  return { root: folder.path, folder: join(folder.path, '.troupe/code'), [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
}

const scanner = "// import './gone.ts'\nimport { edge } from './lib/edge.ts'\nexport default edge\n"

test('copies an actor file with what it imports relatively, also at second hand', async () => {
  await using files = await project({
    'actors/scanner.ts': scanner,
    'actors/lib/edge.ts': "import fees from './fees.json' with { type: 'json' }\nexport const edge = fees\n",
    'actors/lib/fees.json': '{}',
    'actors/other.ts': 'export default 1\n',
  })
  const version = await copyVersion(join(files.root, 'actors/scanner.ts'), files)
  expect(version.sources.map((path) => path.slice(files.root.length + 1))).toEqual([
    'actors/lib/edge.ts',
    'actors/lib/fees.json',
    'actors/scanner.ts',
  ])
  expect(await readFile(version.file, 'utf8')).toBe(scanner)
  expect(version.file.startsWith(join(files.folder, version.hash))).toBe(true)
})

test('names a version by its contents: a change of an import is another version, the old copy stays', async () => {
  await using files = await project({ 'actors/scanner.ts': scanner, 'actors/lib/edge.ts': 'export const edge = 1\n' })
  const entry = join(files.root, 'actors/scanner.ts')
  const first = await copyVersion(entry, files)
  expect(await copyVersion(entry, files)).toEqual(first)
  await writeFile(join(files.root, 'actors/lib/edge.ts'), 'export const edge = 2\n')
  const second = await copyVersion(entry, files)
  expect(second.hash).not.toBe(first.hash)
  expect((await readdir(files.folder)).sort()).toEqual([first.hash, second.hash].sort())

  await pruneVersions(files.folder, { inUse: new Set([second.hash]), keep: 0 })
  expect(await readdir(files.folder)).toEqual([second.hash])
})

test('an old copy that another process has removed meanwhile is no trouble', async () => {
  await using folder = await tempFolder()
  for (const name of ['old', 'new']) await mkdir(join(folder.path, name))
  await utimes(join(folder.path, 'old'), 1, 1)
  await keepNewest(folder.path, ['old', 'gone', 'new'], 1)
  expect(await readdir(folder.path)).toEqual(['new'])
})

test('a copy that cannot be written, as on a full disk, leaves nothing behind', async () => {
  const name = `actors/${'a'.repeat(150)}.ts`
  await using files = await project({ [name]: scanner, 'actors/lib/edge.ts': 'export const edge = 1\n' })
  // No path is longer than 4,096 bytes: there is room for the folder of the copy, but not for all of its files.
  let { folder } = files
  while (folder.length < 4_010) folder = join(folder, 'x'.repeat(Math.min(200, 4_010 - folder.length)))
  await expect(copyVersion(join(files.root, name), { root: files.root, folder })).rejects.toThrow('ENAMETOOLONG')
  expect(await readdir(folder)).toEqual([])
})

test('copies the file of a task with what it imports, and a change of it is another version', async () => {
  const task = "new URL('./lib/detect.ts#score', import.meta.url)"
  await using files = await project({
    'actors/scanner.ts': `const headers = { accept: '*/*' }\nexport default () => [headers, ${task}] /* as written */\n`,
    'actors/lib/detect.ts': "import { edge } from './edge.ts?raw'\nexport const score = () => edge\n",
    'actors/lib/edge.ts': 'export const edge = 1\n',
  })
  const entry = join(files.root, 'actors/scanner.ts')
  const first = await copyVersion(entry, files)
  expect(first.sources.map((path) => path.slice(files.root.length + 1))).toEqual([
    'actors/lib/detect.ts',
    'actors/lib/edge.ts',
    'actors/scanner.ts',
  ])
  await writeFile(join(files.root, 'actors/lib/edge.ts'), 'export const edge = 2\n')
  expect((await copyVersion(entry, files)).hash).not.toBe(first.hash)
})

test('a URL on another base, and one that is written in a comment or put together, is no file of the actor', async () => {
  const lines = [
    "new URL('./v1/markets', 'https://example.org')",
    "new URL('./v1/markets', base)",
    "/* new URL('./gone.ts#f', import.meta.url) */ 1",
    '// it does not: new URL("./gone.ts#f", import.meta.url)',
    `new URL(\`./\${base}.ts\`, import.meta.url)`,
    "new URL(\n  './lib/a%20b.ts#f',\n  import.meta.url,\n)",
  ]
  await using files = await project({ 'actors/scanner.ts': lines.join('\n'), 'actors/lib/a b.ts': '' })
  const { sources } = await copyVersion(join(files.root, 'actors/scanner.ts'), files)
  expect(sources.map((path) => path.slice(files.root.length + 1))).toEqual(['actors/lib/a b.ts', 'actors/scanner.ts'])
})

test('a copy that lost a file or a part of one, as in a power cut, is made whole', async () => {
  await using files = await project({ 'actors/scanner.ts': scanner, 'actors/lib/edge.ts': 'export const edge = 1\n' })
  const entry = join(files.root, 'actors/scanner.ts')
  const { file } = await copyVersion(entry, files)
  await writeFile(file, '')
  await rm(join(dirname(file), 'lib'), { recursive: true })
  await copyVersion(entry, files)
  const whole = await Promise.all([file, join(dirname(file), 'lib/edge.ts')].map((path) => readFile(path, 'utf8')))
  expect([whole, await readdir(files.folder)]).toEqual([[scanner, 'export const edge = 1\n'], [(await copyVersion(entry, files)).hash]])
})

test('finds an import behind a comment or a text that has the beginning of a comment in it', async () => {
  const lines = [
    "import { edge } from './lib/edge.ts' // as in lib/*.ts",
    `export const accept = \`\${edge}/*\``,
    "export * from './other.ts'",
    '/** What it is. */',
  ]
  await using files = await project({ 'actors/scanner.ts': lines.join('\n'), 'actors/lib/edge.ts': '', 'actors/other.ts': '' })
  const { sources } = await copyVersion(join(files.root, 'actors/scanner.ts'), files)
  expect(sources.map((path) => path.slice(files.root.length + 1))).toEqual(['actors/lib/edge.ts', 'actors/other.ts', 'actors/scanner.ts'])
})

test('names the file that is missing, and refuses imports from outside of the project', async () => {
  const odd = { 'actors/spy.ts': "import '../../outside.ts'\n", 'actors/odd.ts': "import './a%2Fb.ts'\n" }
  await using files = await project({ 'actors/scanner.ts': scanner, ...odd })
  await expect(copyVersion(join(files.root, 'actors/scanner.ts'), files)).rejects.toThrow(
    /Cannot read .*lib\/edge\.ts, which .*scanner\.ts needs/,
  )
  await expect(copyVersion(join(files.root, 'actors/spy.ts'), files)).rejects.toThrow(/outside of the project/)
  await expect(copyVersion(join(files.root, 'actors/odd.ts'), files)).rejects.toThrow(/odd\.ts imports ".\/a%2Fb\.ts", which names no file/)
})

test('a copy outside of the project still finds troupe/actor and packages', async () => {
  await using files = await tempFolder()
  const root = join(import.meta.dirname, '../..')
  const entry = join(root, 'test/host/linked-actor.ts')
  const { file } = await copyVersion(entry, { root, folder: join(files.path, 'code') })
  const { stdout } = await run(process.execPath, [
    '--input-type=module',
    '-e',
    `console.log((await import(${JSON.stringify(file)})).found)`,
  ])
  expect(stdout.trim()).toBe('function object')
})

test('copies on a volume find the packages of the project that makes them, wherever it was before', async () => {
  const same = { 'actors/scanner.ts': 'export default 1\n' }
  await using before = await project({ 'package.json': '{}', ...same })
  await using after = await project({ 'package.json': '{ "type": "module" }', ...same })
  await using volume = await tempFolder()
  const folder = join(volume.path, 'code')
  for (const { root } of [before, after]) await copyVersion(join(root, 'actors/scanner.ts'), { root, folder })
  const links = await Promise.all(['node_modules', 'src'].map((name) => readlink(join(folder, name))))
  expect([...links, await readFile(join(folder, 'package.json'), 'utf8')]).toEqual([
    join(after.root, 'node_modules'),
    join(after.root, 'src'),
    '{ "type": "module" }',
  ])
})

test('processes that start at once on a folder outside of the project do not get into each other’s way', async () => {
  await using files = await project({ 'package.json': '{}' })
  await using volume = await tempFolder()
  const folder = join(volume.path, 'code')
  const entries = Array.from({ length: 40 }, (_, n) => join(files.root, `actors/a${n}.ts`))
  for (const [n, entry] of entries.entries()) await writeFile(entry, `export default ${n}\n`)
  const copy = (entry: string) => copyVersion(entry, { root: files.root, folder })
  await copy(entries[0] ?? '')
  await Promise.all(entries.slice(1).map(copy))
  const others = (await readdir(folder)).filter((name) => !/^[0-9a-f]{16}$/.test(name))
  expect([others.sort(), await readFile(join(folder, 'package.json'), 'utf8')]).toEqual([['node_modules', 'package.json', 'src'], '{}'])
})
