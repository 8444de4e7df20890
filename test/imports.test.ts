import { globSync, readFileSync } from 'node:fs'
import { join, matchesGlob } from 'node:path'
import { expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import { type Import, readImports } from './imports.ts'
import { recordedFolder } from './recorded.ts'

type Rule = { says: string; of: string; only?: readonly string[]; never?: readonly string[] }

const node = ['node:*', 'node:*/*']
const dependencies = Object.keys(packageJson.dependencies).flatMap((name) => [name, `${name}/**`])

const rules: readonly Rule[] = [
  { says: 'core imports core only', of: 'src/core/**', only: ['src/core/**'] },
  { says: 'a thread loads little', of: 'src/worker/**', only: ['src/worker/**', 'src/core/**', 'src/actor.ts', ...node] },
  { says: 'the actor API runs no code of the host', of: 'src/actor.ts', only: ['src/core/**'] },
  { says: 'actors know Troupe as "troupe/actor" only', of: 'actors/**', never: ['src/**', 'troupe'] },
  {
    says: 'what ships needs no test and no devDependency',
    of: '{src,actors}/**',
    only: ['{src,actors}/**', 'package.json', 'troupe/**', ...node, ...dependencies],
  },
]

/** A heavy package has one importer; tests may use it freely, they play the outside world. */
const importers: Readonly<Record<string, { value: string; type?: string }>> = {
  '@supabase/supabase-js': { value: 'src/store/supabase.ts', type: 'src/store/realtime*.ts' },
  '@supabase/lite': { value: 'src/store/embedded*.ts' },
  mongodb: { value: 'src/sources/mongo.ts' },
  undici: { value: 'src/services/http.ts' },
  ai: { value: 'src/services/llm.ts' },
  '@ai-sdk/fireworks': { value: 'src/services/llm.ts' },
  pino: { value: 'src/host/log.ts' },
  'pino-pretty': { value: 'src/host/log.ts' },
  piscina: { value: 'src/services/compute-pool.ts' },
}

function brokenRules({ file, target }: Import): string[] {
  const isOneOf = (globs: readonly string[]) => globs.some((glob) => matchesGlob(target, glob))
  return rules
    .filter(({ of, only, never }) => matchesGlob(file, of) && ((only && !isOneOf(only)) || (never && isOneOf(never))))
    .map(({ says }) => `${file} imports ${target}: ${says}`)
}

function strayImporters(imports: readonly Import[]): string[] {
  return Object.entries(importers).flatMap(([name, allowed]) => {
    const uses = imports.filter(
      ({ file, target }) => matchesGlob(file, '{src,actors}/**') && (target === name || target.startsWith(`${name}/`)),
    )
    const values = new Set(uses.filter((use) => !isTypeUse(use, allowed.type)).map(({ file }) => file))
    const strays = [...values].filter((file) => !matchesGlob(file, allowed.value))
    return [
      ...strays.map((file) => `${file} imports ${name}: only ${allowed.value} may`),
      ...(values.size - strays.length > 1 ? [`${[...values].join(', ')} import ${name}: one file may`] : []),
    ]
  })
}

function isTypeUse({ file, typeOnly }: Import, allowed: string | undefined): boolean {
  return typeOnly && allowed !== undefined && matchesGlob(file, allowed)
}

const root = join(import.meta.dirname, '..')
const files = globSync('{src,actors,test}/**/*.{ts,js}', { cwd: root }).map((file) => {
  const path = file.replaceAll('\\', '/')
  const source = readFileSync(join(root, file), 'utf8')
  return { path, source, imports: readImports(path, source) }
})

test('every import goes in an allowed direction', () => {
  expect(files.flatMap(({ imports }) => imports.flatMap(brokenRules))).toEqual([])
})

test('each heavy package has one importer', () => {
  expect(strayImporters(files.flatMap(({ imports }) => imports))).toEqual([])
})

test('only the helper for recorded data knows where it lies', () => {
  expect(files.filter(({ source }) => source.includes(recordedFolder)).map(({ path }) => path)).toEqual(['test/recorded.ts'])
})

test('a wrong direction is found', () => {
  const wrong = [
    ['src/core/turn.ts', 'src/host/child.ts'],
    ['src/core/turn.ts', 'node:fs'],
    ['src/core/turn.ts', 'zod'],
    ['src/worker/main.ts', 'src/store/store.ts'],
    ['src/worker/main.ts', 'pino'],
    ['src/actor.ts', 'src/worker/context.ts'],
    ['actors/trader.ts', 'src/actor.ts'],
    ['actors/lib/markets/book.ts', 'troupe'],
    ['src/host/troupe.ts', 'test/helpers.ts'],
    ['src/host/troupe.ts', 'vitest'],
  ] as const
  expect(wrong.filter(([file, target]) => brokenRules({ file, target, typeOnly: false }).length === 0)).toEqual([])
})

test('an allowed direction is not found', () => {
  const right = [
    ['src/core/turn.ts', 'src/core/message.ts'],
    ['src/worker/main.ts', 'node:worker_threads'],
    ['src/worker/main.ts', 'src/actor.ts'],
    ['src/store/supabase.ts', 'node:timers/promises'],
    ['src/store/realtime.ts', '@supabase/supabase-js'],
    ['actors/trader.ts', 'troupe/actor'],
    ['actors/trader.ts', 'actors/lib/markets/book.ts'],
    ['actors/trader.ts', 'zod'],
  ] as const
  expect(right.flatMap(([file, target]) => brokenRules({ file, target, typeOnly: false }))).toEqual([])
})

test('a second importer of a heavy package is found', () => {
  const undici = { file: 'src/services/http.ts', target: 'undici', typeOnly: false }
  const realtime = { file: 'src/store/realtime.ts', target: '@supabase/supabase-js', typeOnly: true }
  const lite = ['', '-thread'].map((suffix) => ({ file: `src/store/embedded${suffix}.ts`, target: '@supabase/lite', typeOnly: false }))
  expect(strayImporters([undici, realtime, { ...undici, file: 'test/http.test.ts' }])).toEqual([])
  expect(strayImporters([undici, { ...undici, file: 'src/host/child.ts', typeOnly: true }])).toHaveLength(1)
  expect(strayImporters([{ ...realtime, typeOnly: false }])).toHaveLength(1)
  expect(strayImporters([{ ...undici, target: 'piscina/dist/main.js' }])).toHaveLength(1)
  expect(strayImporters(lite)).toHaveLength(1)
})

test('every form of import is read', () => {
  const source = `
import '../a.ts'
import b, { type B } from "./b.ts"
import {
  c,
} from './c.ts'
import type { D } from './d.ts'
import type from './e.ts'
export * from './f.ts'
export type { G } from './g.ts'
const url = 'http://x' // import './no.ts'
/*
import './no.ts'
*/
export const h = await import('./h.ts')
export const text = 'from'
`
  expect(readImports('src/host/x.ts', source).map(({ target, typeOnly }) => `${typeOnly ? 'type ' : ''}${target}`)).toEqual([
    'src/a.ts',
    'src/host/b.ts',
    'src/host/c.ts',
    'type src/host/d.ts',
    'src/host/e.ts',
    'src/host/f.ts',
    'type src/host/g.ts',
    'src/host/h.ts',
  ])
})
