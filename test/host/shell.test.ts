import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { writeShell } from '../../src/host/shell.ts'
import { tempFolder } from '../helpers.ts'
import { sample } from '../worker/thread.ts'
import { agent, openThreads, turn } from './hosted.ts'

test('an actor in a thread that began with the shell is like one in a thread that began with its sources', async () => {
  await using folder = await tempFolder()
  const shells = [undefined, await writeShell(folder.path)]
  const stories = shells.map(async (shell) => {
    await using threads = openThreads({ shell })
    const child = threads.start(agent('lab', { file: sample('lab') }), 1)
    const frames: string[] = []
    child.onFrame((frame) => frames.push(frame.kind))
    await child.load({ state: null, sql: ['record_performance'] })
    const outcomes = []
    // Of an error that an actor file makes the shell has to know the class: each has "troupe/actor" of its own otherwise.
    for (const type of ['look', 'fatal', 'retry', 'collectThenThrow']) outcomes.push(await turn(child, type))
    return JSON.parse(JSON.stringify({ frames, outcomes, lines: threads.lines }, (name, value) => (name === 'stack' ? undefined : value)))
  })
  const [fromSources, fromShell] = await Promise.all(stories)
  expect(fromSources.outcomes.map(({ kind }: { kind: string }) => kind)).toEqual(['done', 'threw', 'threw', 'threw'])
  expect(fromShell.outcomes.map(withoutId)).toEqual(fromSources.outcomes.map(withoutId))
  expect(fromShell.frames).toEqual(fromSources.frames)
  expect(fromShell.lines).toEqual(fromSources.lines)
})

/** Each of them has messages of its own. */
function withoutId(outcome: { reply?: string }) {
  return outcome.reply === undefined ? outcome : { ...outcome, reply: { ...JSON.parse(outcome.reply), id: undefined } }
}

test('the shell is one script: nothing of it but what actor files import too is loaded from elsewhere', async () => {
  await using folder = await tempFolder()
  const text = await readFile(await writeShell(folder.path), 'utf8')
  const loaded = new Set(
    [...text.matchAll(/\brequire\(['"]([^'"]+)['"]\)/g)].map(([, name = '']) => name).filter((name) => !name.startsWith('node:')),
  )
  expect([...loaded].map((name) => basename(name)).sort()).toEqual(['actor.ts', 'errors.ts'])
})

test('the shell is written once, and of older ones the newest stay', async () => {
  await using folder = await tempFolder()
  const old = Array.from({ length: 8 }, (_, nth) => `shell-${String(nth).repeat(16)}.cjs`)
  for (const [nth, name] of old.entries()) {
    await writeFile(join(folder.path, name), '')
    await utimes(join(folder.path, name), nth, nth)
  }
  const path = await writeShell(folder.path)
  await writeFile(path, 'as it was')
  expect(await writeShell(folder.path)).toBe(path)
  expect(await readFile(path, 'utf8')).toBe('as it was')
  expect((await readdir(folder.path)).sort()).toEqual([...old.slice(3), basename(path)].sort())
})
