import { renameSync, symlinkSync } from 'node:fs'
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { watchFiles } from '../../src/host/watch.ts'
import { tempFolder } from '../helpers.ts'

/** A watch of files, and a way to wait for what it tells after a change. */
async function watched(prepare: (folder: string) => Promise<string[]>) {
  const folder = await tempFolder()
  const files = await prepare(folder.path)
  let tell = () => {}
  const watcher = watchFiles(() => {
    watcher.set(files)
    tell()
  })
  watcher.set(files)
  return {
    path: folder.path,
    /** Whether it tells of a change. */
    async tells(change: () => Promise<unknown>, within = 3_000): Promise<boolean> {
      const told = new Promise<true>((resolve) => {
        tell = () => resolve(true)
      })
      await change()
      return Promise.race([told, new Promise<false>((resolve) => setTimeout(resolve, within, false))])
    },
    /** As a reload does that ends after its team. */
    close() {
      watcher.close()
      watcher.set(files)
    },
    async [Symbol.asyncDispose]() {
      watcher.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

test('tells of a file that another one replaces', async () => {
  await using files = await watched(async (folder) => {
    await writeFile(join(folder, 'team.yaml'), 'one')
    return [join(folder, 'team.yaml')]
  })
  await writeFile(join(files.path, 'fresh'), 'two')
  expect(await files.tells(() => rename(join(files.path, 'fresh'), join(files.path, 'team.yaml')))).toBe(true)
})

test('tells when a link on the way to a file leads to another one, as where Kubernetes mounts a ConfigMap', async () => {
  const mount = async (folder: string, name: string) => {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'team.yaml'), name)
    await symlink(name, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  await using files = await watched(async (folder) => {
    await mount(folder, '..one')
    await symlink(join('..data', 'team.yaml'), join(folder, 'team.yaml'))
    return [join(folder, 'team.yaml')]
  })
  const first = await files.tells(() => mount(files.path, '..two'))
  const second = await files.tells(() => mount(files.path, '..three'))
  expect([first, second]).toEqual([true, true])
})

test('tells of a file that a link leads to', async () => {
  await using files = await watched(async (folder) => {
    await mkdir(join(folder, 'shared'))
    await writeFile(join(folder, 'shared/team.yaml'), 'one')
    await symlink('shared/team.yaml', join(folder, 'team.yaml'))
    return [join(folder, 'team.yaml')]
  })
  expect(await files.tells(() => writeFile(join(files.path, 'shared/team.yaml'), 'two'))).toBe(true)
})

test('tells of a file whose folder was replaced, and of its changes after that', async () => {
  const lib = async (folder: string, text: string) => {
    await mkdir(join(folder, 'lib'))
    await writeFile(join(folder, 'lib/edge.ts'), text)
  }
  await using files = await watched(async (folder) => {
    await lib(folder, 'one')
    return [join(folder, 'lib/edge.ts')]
  })
  const moved = await files.tells(async () => {
    await rename(join(files.path, 'lib'), join(files.path, 'before'))
    await lib(files.path, 'two')
  })
  const changed = await files.tells(() => writeFile(join(files.path, 'lib/edge.ts'), 'three'))
  const removed = await files.tells(async () => {
    await rm(join(files.path, 'lib'), { recursive: true })
    await lib(files.path, 'four')
  })
  const again = await files.tells(() => writeFile(join(files.path, 'lib/edge.ts'), 'five'))
  expect([moved, changed, removed, again]).toEqual([true, true, true, true])
})

test('once closed it watches nothing any more, also when a reload that was under way ends after that', async () => {
  await using files = await watched(async (folder) => {
    await writeFile(join(folder, 'team.yaml'), 'one')
    return [join(folder, 'team.yaml')]
  })
  files.close()
  expect(await files.tells(() => writeFile(join(files.path, 'team.yaml'), 'two'), 500)).toBe(false)
})

test('outlives a folder that is replaced by a link to itself, and tells when it is there again', async () => {
  await using files = await watched(async (folder) => {
    await mkdir(join(folder, 'actors'))
    await writeFile(join(folder, 'actors', 'a.ts'), 'one')
    return [join(folder, 'actors', 'a.ts')]
  })
  const actors = join(files.path, 'actors')
  const isToldOfLoop = await files.tells(async () => {
    // In one go, so that what is told first finds the link.
    renameSync(actors, join(files.path, 'old'))
    symlinkSync('actors', actors)
  })
  const isToldOfReturn = await files.tells(async () => {
    await rm(actors)
    await rename(join(files.path, 'old'), actors)
  })
  expect([isToldOfLoop, isToldOfReturn]).toEqual([true, true])
})
