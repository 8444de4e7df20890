import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'

const block = 512

/** Makes a database folder out of the shipped archive, at once or not at all; one that exists is left alone. */
export async function unpackDatabase(archive: string | URL, folder: string): Promise<void> {
  if (existsSync(join(folder, 'PG_VERSION'))) return
  const tar = await promisify(zstdDecompress)(await readFile(archive))
  const fresh = `${folder}.new`
  await rm(fresh, { recursive: true, force: true })
  await rm(folder, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true, mode: 0o700 })
  for (const { name, isFolder, bytes } of entries(tar)) {
    const path = join(fresh, name)
    if (isFolder) await mkdir(path, { recursive: true, mode: 0o700 })
    else await mkdir(dirname(path), { recursive: true, mode: 0o700 }).then(() => writeFile(path, bytes, { mode: 0o600 }))
  }
  await rename(fresh, folder)
}

/** The entries of a plain ustar archive, as supabase/embedded/build.ts writes it: short names, files and folders only. */
export function* entries(tar: Buffer): Generator<{ name: string; isFolder: boolean; bytes: Buffer }> {
  for (let at = 0; at + block <= tar.length && tar[at] !== 0; ) {
    const name = tar.toString('utf8', at, tar.indexOf(0, at))
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8)
    yield { name, isFolder: tar[at + 156] === 0x35, bytes: tar.subarray(at + block, at + block + size) }
    at += block + Math.ceil(size / block) * block
  }
}
