import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { unpackDatabase } from '../../src/store/unpack.ts'
import { inOwnFolder } from './run-troupe.ts'

inOwnFolder()

test('what stands in the place of a database and is none is left as it is', async () => {
  await mkdir('db')
  await writeFile('db/half-restored', '')
  await expect(unpackDatabase('none.tar.zst', 'db')).rejects.toThrow('db is no database, and not empty either')
  expect(await readdir('db')).toEqual(['half-restored'])
})
