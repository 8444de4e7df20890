import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import * as z from 'zod'
import { makeFolder } from '../store/make-folder.ts'

/** Where a process can be asked: its socket, and the file in the store's folder by which it is found, which may be the socket itself. */
export interface ControlAddress {
  readonly pid: number
  readonly entry: string
  readonly socket: string
}

/** The operating system's limit is 104 bytes or more; a socket is made under a name that is a little longer. */
const longest = 96
const runFolder = 'run'
const record = z.object({ socket: z.string().min(1) })

/** Makes the folder in which the processes of a store's folder are found. */
async function openRunFolder(folder: string): Promise<string> {
  const run = resolve(folder, runFolder)
  makeFolder(run)
  await chmod(run, 0o700)
  return run
}

/**
 * The addresses to try for this process, the best first: beside the store, and in a folder of its own where paths are short, for when
 * the path is too long for a socket or the file system takes none. Every process id is 1 in a container, so names have more to them.
 */
export async function newAddresses(folder: string, pid = process.pid): Promise<ControlAddress[]> {
  const run = await openRunFolder(folder)
  const name = `${pid}-${randomBytes(3).toString('hex')}`
  const near = join(run, `${name}.sock`)
  const far = { pid, entry: join(run, `${name}.json`), socket: join(tmpdir(), `troupe-${name}`, 'sock') }
  return Buffer.byteLength(near) <= longest ? [{ pid, entry: near, socket: near }, far] : [far]
}

/** Lets `listen` make the socket under another name first: a path that can be found is one that can be connected to. */
export async function publish({ entry, socket }: ControlAddress, listen: (path: string) => Promise<void>): Promise<void> {
  if (entry !== socket) await mkdir(dirname(socket), { mode: 0o700 })
  const draft = `${socket}.new`
  await listen(draft)
  await chmod(draft, 0o600)
  await rename(draft, socket)
  if (entry === socket) return
  await writeFile(`${entry}.new`, JSON.stringify({ socket }), { mode: 0o600 })
  await rename(`${entry}.new`, entry)
}

/** The addresses found in a store's folder, also those of processes that are gone. */
export async function findAddresses(folder: string): Promise<ControlAddress[]> {
  const run = resolve(folder, runFolder)
  const names = await readdir(run).catch(() => [])
  const found = await Promise.all(names.sort().map((name) => readAddress(join(run, name))))
  return found.filter((address) => address !== undefined)
}

async function readAddress(entry: string): Promise<ControlAddress | undefined> {
  const [, pid, ending] = /^(\d+)-[0-9a-f]+\.(sock|json)$/.exec(basename(entry)) ?? []
  if (pid === undefined) return undefined
  if (ending === 'sock') return { pid: Number(pid), entry, socket: entry }
  try {
    return { pid: Number(pid), entry, ...record.parse(JSON.parse(await readFile(entry, 'utf8'))) }
  } catch {
    return undefined // it has just gone
  }
}

/** Takes away what an address consists of. */
export async function removeAddress({ entry, socket }: ControlAddress): Promise<void> {
  await rm(entry, { force: true })
  if (entry === socket) return
  await rm(socket, { force: true })
  await rmdir(dirname(socket)).catch(() => {})
}
