import { createReadStream, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { mkdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createZstdDecompress } from 'node:zlib'

const block = 512

/** Makes a database folder out of the shipped archive, at once or not at all; one that exists is left alone. */
export async function unpackDatabase(archive: string, folder: string): Promise<void> {
  if (existsSync(join(folder, 'PG_VERSION'))) return
  const fresh = `${folder}.new`
  await rm(fresh, { recursive: true, force: true })
  await removeEmpty(folder)
  await mkdir(fresh, { recursive: true, mode: 0o700 })
  for await (const { name, isFolder, bytes } of readTar(readArchive(archive))) {
    const path = join(fresh, name)
    // A thousand small files: waiting for each costs three times the work, and nothing else happens in this thread yet.
    if (isFolder) mkdirSync(path, { mode: 0o700 })
    else writeFileSync(path, bytes, { mode: 0o600 })
  }
  await rename(fresh, folder)
}

/** What is in it may be the part of a database that somebody has brought back so far. */
async function removeEmpty(folder: string): Promise<void> {
  await rmdir(folder).catch(({ code }: NodeJS.ErrnoException) => {
    if (code === 'ENOENT') return
    throw new Error(`${folder} is no database, and not empty either: restore all of it, or move it out of the way`)
  })
}

/** In pieces: 30 MB at once would stay with the process as memory that it once had. */
async function* readArchive(archive: string): AsyncGenerator<Buffer> {
  const compressed = createReadStream(archive)
  const stream = createZstdDecompress({ chunkSize: 1024 * 1024 })
  compressed.on('error', (error) => stream.destroy(error))
  yield* compressed.pipe(stream) as AsyncIterable<Buffer>
}

/** The entries of a plain ustar archive, as supabase/embedded/build.ts writes it: short names, files and folders only. */
export async function* readTar(pieces: AsyncIterable<Buffer>): AsyncGenerator<{ name: string; isFolder: boolean; bytes: Buffer }> {
  let head: Buffer | undefined
  let waiting: Buffer[] = []
  let length = 0
  for await (const piece of pieces) {
    waiting.push(piece)
    length += piece.length
    while (length >= (head ? paddedSize(head) : block)) {
      const all = waiting.length === 1 && waiting[0] ? waiting[0] : Buffer.concat(waiting)
      const taken = head ? paddedSize(head) : block
      waiting = [all.subarray(taken)]
      length -= taken
      if (head) {
        yield { name: text(head, 0, 100), isFolder: head[156] === 0x35, bytes: all.subarray(0, size(head)) }
        head = undefined
      } else if (all[0] !== 0) head = all.subarray(0, block)
    }
  }
}

function text(head: Buffer, start: number, end: number): string {
  return head.toString('latin1', start, end).replace(/\0.*$/s, '')
}

function size(head: Buffer): number {
  return Number.parseInt(text(head, 124, 136), 8)
}

function paddedSize(head: Buffer): number {
  return Math.ceil(size(head) / block) * block
}
