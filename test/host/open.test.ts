import { chmod, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { configuredTarget, openFolder } from '../../src/host/open.ts'
import { tempFolder } from '../helpers.ts'

test('makes the folder for its owner only, and takes one that is there', async () => {
  await using temp = await tempFolder()
  const folder = join(temp.path, 'a/b')
  await openFolder(folder)
  await openFolder(folder)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
})

test('a folder that cannot be used is a fault that says what to do', async () => {
  await using temp = await tempFolder()
  const file = join(temp.path, 'file')
  await writeFile(file, '')
  const invalid = (folder: string) => ({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(`The folder ${folder} cannot be used by the user ${process.getuid?.()}: E`),
    details: { folder, hint: expect.stringContaining('--folder') },
  })
  await expect(openFolder(join(file, 'below'))).rejects.toMatchObject(invalid(join(file, 'below')))
  // Nothing is forbidden to root.
  if (process.getuid?.() === 0) return
  const locked = join(temp.path, 'locked')
  await mkdir(locked)
  await chmod(locked, 0o500)
  await expect(openFolder(locked)).rejects.toMatchObject(invalid(locked))
})

test('the kind of store that the config names is told by its own name where it is missing', () => {
  const targetOf = (kind: 'hosted' | 'postgres', env: Record<string, string>) => () => configuredTarget({ kind, folder: '.troupe' }, env)
  expect(targetOf('hosted', { SUPABASE_URL: 'https://a.supabase.co', ENABLE_SUPABASE: 'false' })).toThrow(
    /not available: store\.kind is hosted: expected SUPABASE_URL and SUPABASE_SERVICE_KEY, found no SUPABASE_SERVICE_KEY/,
  )
  expect(targetOf('postgres', { SUPABASE_URL: 'https://a.supabase.co' })).toThrow(
    'store.kind is postgres: expected DATABASE_URL, found none',
  )
})
