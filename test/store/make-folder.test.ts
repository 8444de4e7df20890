import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../src/store/make-folder.ts'
import { inOwnFolder, runTroupe } from './run-troupe.ts'

const folder = inOwnFolder()

test('makes what is missing above it, too, takes one that is there, and refuses a file', async () => {
  for (const path of ['a/b', 'a/b', join(folder.path, 'a/b/c')]) makeFolder(path)
  expect([(await stat('a')).mode & 0o777, (await stat('a/b/c')).mode & 0o777]).toEqual([0o700, 0o700])
  await writeFile('file', '')
  expect(() => makeFolder('file')).toThrow('EEXIST')
  expect(() => makeFolder('file/below')).toThrow('ENOTDIR')
})

test.skipIf(process.platform !== 'linux')('a folder in a place that takes none is refused at once', async () => {
  const run = (...args: readonly string[]) =>
    runTroupe([...args, '--folder', '/proc/none'], { cwd: folder.path, env: { PORT: '0' }, limit: 20_000 })
  await writeFile('hello.yaml', 'name: hello\nteams: [{ id: hello, agents: [{ id: one, type: one }] }]\n')
  const runs = [await run('start', '--config', 'hello.yaml'), await run('db', 'status')]
  expect(runs.map(({ code, err }) => ({ code, err }))).toEqual(
    Array(2).fill({ code: 2, err: expect.stringMatching(/^error The folder \/proc\/none cannot be used.*: ENOENT/) }),
  )
})
