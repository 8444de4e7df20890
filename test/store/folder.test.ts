import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { claimFolder, enterFolder } from '../../src/store/folder.ts'
import { tempFolder } from '../helpers.ts'

const nobody = () => Promise.resolve(false)

/** Another process that holds the folder, if it gets it. */
async function holdFolder(folder: string, entry = 'owner'): Promise<ChildProcess & AsyncDisposable> {
  const child = fork(join(import.meta.dirname, 'hold-folder.ts'), [folder], { execArgv: [] })
  const dispose = async () => {
    if (child.exitCode === null && child.signalCode === null) await Promise.all([once(child, 'exit'), child.kill('SIGKILL')])
  }
  expect(await once(child, 'message')).toEqual([entry, undefined])
  return Object.assign(child, { [Symbol.asyncDispose]: dispose })
}

test('a held folder names its holder, and is entered as a guest when that answers', async () => {
  await using folder = await tempFolder()
  await using child = await holdFolder(folder.path)
  const holder = { pid: child.pid, url: 'http://127.0.0.1:1', key: 'sb_secret_0123456789' }
  expect([
    await enterFolder(folder.path, { patience: 0, isAlive: nobody }),
    await enterFolder(folder.path, { patience: 0, isAlive: () => Promise.resolve(true) }),
  ]).toEqual([
    { kind: 'held', holder },
    { kind: 'guest', holder },
  ])
})

test('a killed holder frees the folder', async () => {
  await using folder = await tempFolder()
  await using child = await holdFolder(folder.path)
  await Promise.all([once(child, 'exit'), child.kill('SIGKILL')])
  const entry = await enterFolder(folder.path, { patience: 0, isAlive: nobody })
  expect(entry.kind).toBe('owner')
  if (entry.kind === 'owner') await entry.lock.release()
})

test.skipIf(process.platform !== 'linux')('a frozen holder keeps the folder', async () => {
  await using folder = await tempFolder()
  await using child = await holdFolder(folder.path)
  child.kill('SIGSTOP')
  while (!/\) T /.test(await readFile(`/proc/${child.pid}/stat`, 'utf8'))) await delay(1)
  expect(await enterFolder(folder.path, { patience: 300, isAlive: nobody })).toMatchObject({ kind: 'held', holder: { pid: child.pid } })
})

test('a path that cannot be a folder is a matter of the configuration', async () => {
  await using folder = await tempFolder()
  const path = join(folder.path, 'file')
  await writeFile(path, '')
  await expect(enterFolder(path, { patience: 0, isAlive: nobody })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(`The folder ${path} cannot be used`),
  })
})

test('whoever waits gets the folder when it is released', async () => {
  await using folder = await tempFolder()
  const first = await enterFolder(folder.path, { patience: 0, isAlive: nobody })
  if (first.kind !== 'owner') throw new Error('The folder is not free')
  const second = enterFolder(folder.path, { patience: 10_000, isAlive: nobody })
  await first.lock.release()
  await first.lock.release()
  const entry = await second
  expect(entry.kind).toBe('owner')
  if (entry.kind === 'owner') await entry.lock.release()
})

test('a folder that somebody waits for is left to those who stay, by whoever comes for a moment only', async () => {
  await using folder = await tempFolder()
  const first = await enterFolder(folder.path, { patience: 0, isAlive: nobody })
  if (first.kind !== 'owner') throw new Error('The folder is not free')
  const claims = [claimFolder(folder.path), claimFolder(folder.path)]
  await first.lock.release()
  claims[0]?.end()
  await using _ = await holdFolder(folder.path, 'held')
  const second = await enterFolder(folder.path, { patience: 0, isAlive: nobody, stays: true })
  if (second.kind === 'owner') await second.lock.release()
  for (const claim of claims) claim.end()
  await using last = await holdFolder(folder.path)
  expect([second.kind, last.connected]).toEqual(['owner', true])
})
