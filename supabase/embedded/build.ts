// Makes the initialised, empty database folder that Troupe ships: initdb in WebAssembly takes 3 s and 1.1 GB, unpacking
// neither. It holds no schema, so only a new PGlite makes it stale. Run: npx node supabase/embedded/build.ts

import nodeCrypto from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import { PGlite } from '@electric-sql/pglite'

// The same PGlite makes the same bytes: initdb takes the cluster's identifier from the clock and the process, salts from chance.
Date.now = () => Date.UTC(2026, 0, 1)
nodeCrypto.randomFillSync = (array) => array

const block = 512
const folder = await mkdtemp(join(tmpdir(), 'troupe-initdb-'))
try {
  // A segment of write-ahead log is 16 MB otherwise, most of what a new folder would weigh.
  const database = await PGlite.create({ dataDir: join(folder, 'db'), initDbStartParams: ['--wal-segsize=1'] })
  // So that the first start has nothing to replay.
  await database.exec('checkpoint')
  await database.close()
  const tar = await archive(join(folder, 'db'))
  const packed = zstdCompressSync(tar, {
    // Whoever unpacks needs a window of the same size, 2 MB.
    params: { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_windowLog]: 21, [constants.ZSTD_c_checksumFlag]: 1 },
  })
  const major = (await readFile(join(folder, 'db', 'PG_VERSION'), 'utf8')).trim()
  const path = join(import.meta.dirname, `pg${major}.tar.zst`)
  await writeFile(path, packed)
  console.log(`${path}: ${tar.length} bytes, packed ${packed.length}`)
} finally {
  await rm(folder, { recursive: true, force: true })
}

/**
 * A ustar archive without times, owners or modes that depend on the machine. The three databases hold the same files: side by
 * side they compress to one.
 */
async function archive(root: string): Promise<Buffer> {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  const named = entries.map((entry) => ({ entry, name: relative(root, join(entry.parentPath, entry.name)) }))
  const folders = named.filter(({ entry }) => entry.isDirectory()).sort((a, b) => compare(a.name, b.name))
  const files = named.filter(({ entry, name }) => entry.isFile() && name !== 'postmaster.pid')
  files.sort((a, b) => compare(a.entry.name, b.entry.name) || compare(a.name, b.name))
  const parts = folders.map(({ name }) => header(name, 0, true))
  for (const { name } of files) {
    const bytes = await readFile(join(root, name))
    parts.push(header(name, bytes.length, false), bytes, Buffer.alloc((block - (bytes.length % block)) % block))
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * block)])
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function header(name: string, size: number, isFolder: boolean): Buffer {
  const octal = (value: number, width: number) => `${value.toString(8).padStart(width - 1, '0')}\0`
  const head = Buffer.alloc(block)
  const fields: [at: number, text: string][] = [
    [0, name],
    [100, octal(isFolder ? 0o700 : 0o600, 8)],
    [108, octal(0, 8)],
    [116, octal(0, 8)],
    [124, octal(size, 12)],
    [136, octal(0, 12)],
    [148, ' '.repeat(8)],
    [156, isFolder ? '5' : '0'],
    [257, 'ustar\x0000'],
  ]
  for (const [at, text] of fields) head.write(text, at, 'latin1')
  head.write(
    `${head
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  )
  return head
}
