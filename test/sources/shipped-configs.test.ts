import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseConfig } from '../../src/sources/config.ts'

const folder = join(import.meta.dirname, '../../config')
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
const read = (file: string, env: Record<string, string> = {}) => parseConfig(readFileSync(join(folder, file), 'utf8'), { file, env })

test('every config that is shipped parses without any variable, and starts agents', () => {
  expect(Object.fromEntries(files.map((file) => [file, read(file).teams.map(({ id, agents }) => `${id} ${agents.length}`)]))).toEqual({
    'all.yaml': ['trading 4', 'bazaar 4'],
    'bazaar.yaml': ['bazaar 4'],
    'hello.yaml': ['hello 2'],
    'solo.yaml': ['solo 4'],
    'troupe.yaml': ['trading 4'],
  })
})

test('all.yaml is the two others together', () => {
  const [all, trading, bazaar] = ['all.yaml', 'troupe.yaml', 'bazaar.yaml'].map((file) => read(file, { MONGODB_URI: 'mongodb://h/x' }))
  expect([all?.teams, all?.sources]).toEqual([[...(trading?.teams ?? []), ...(bazaar?.teams ?? [])], bazaar?.sources])
})

test('MARKET is the market of every agent that reads one', () => {
  const markets = ['troupe.yaml', 'solo.yaml'].map((file) =>
    ['', 'simulated:42'].map((MARKET) =>
      read(file, { MARKET }).teams.flatMap(({ agents }) => agents.map(({ args }) => args.market ?? '-')),
    ),
  )
  const each = [
    ['auto', 'auto', 'auto', '-'],
    ['simulated:42', 'simulated:42', 'simulated:42', '-'],
  ]
  expect(markets).toEqual([each, each])
})
