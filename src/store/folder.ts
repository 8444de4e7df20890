import { existsSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import * as z from 'zod'
import { ActorError } from '../core/errors.ts'
import { makeFolder } from './make-folder.ts'

const holderSchema = z.object({ pid: z.number().int(), url: z.url(), key: z.string() })

/** Who serves the folder's database, as its run.json says. */
export type Holder = z.output<typeof holderSchema>

/** The right to open the folder's database. Freed by the operating system when the process dies, kept while it is frozen. */
export interface FolderLock {
  /** Tells later processes where to join. */
  announce(holder: Holder): Promise<void>
  /** Takes the announcement back and frees the folder; safe twice. */
  release(): Promise<void>
}

/** Says that whoever made it waits for the folder; it ends with its process, too. */
export interface FolderClaim {
  /** Safe twice. */
  end(): void
}

export type Entry =
  | { readonly kind: 'owner'; readonly lock: FolderLock }
  | { readonly kind: 'guest'; readonly holder: Holder }
  | { readonly kind: 'held'; readonly holder: Holder | undefined }

export interface EnterOptions {
  /** How long to wait for a holder that does not answer (yet): it may be starting, ending or frozen. */
  readonly patience: number
  readonly isAlive: (holder: Holder) => Promise<boolean>
  /** It is here to stay, and takes a folder that others wait for, too. */
  readonly stays?: boolean
  readonly signal?: AbortSignal
}

const pause = 50

/**
 * Locks the folder, or finds the process that has it: somebody to join, or somebody who does not answer. A folder that others
 * wait for is left to them, so that who comes for a moment only does not become their host.
 */
export async function enterFolder(folder: string, { patience, isAlive, stays = false, signal }: EnterOptions): Promise<Entry> {
  const limit = performance.now() + patience
  while (true) {
    const lock = stays || !isLocked(folder, files.claim) ? tryLock(folder) : undefined
    if (lock) return { kind: 'owner', lock }
    const holder = await readHolder(folder)
    if (holder && (await isAlive(holder))) return { kind: 'guest', holder }
    if (performance.now() >= limit) return { kind: 'held', holder }
    await delay(pause, undefined, { signal })
  }
}

/** Claims the folder for when its holder is gone. Any number of processes may have a claim at a time. */
export function claimFolder(folder: string): FolderClaim {
  const database = openLock(folder, files.claim, { timeout: claimTimeout })
  try {
    database.exec('begin; select count(*) from sqlite_schema') // the read lock lasts as long as the transaction
  } catch (error) {
    database.close()
    throw unusable(folder, error)
  }
  return { end: () => void (database.isOpen && database.close()) }
}

/** Whether a process has the folder just now, or nobody can tell: whoever tries to take it hears why. */
export function isHeld(folder: string): boolean {
  try {
    return isLocked(folder, files.lock)
  } catch {
    return true
  }
}

/** An SQLite lock because it dies with its process, whereas in containers every process may have the pid of the last one. */
function tryLock(folder: string): FolderLock | undefined {
  const database = tryExclusive(folder, files.lock)
  if (!database) return undefined
  const path = join(folder, 'run.json')
  return {
    async announce(holder) {
      const fresh = `${path}.new`
      await writeFile(fresh, `${JSON.stringify(holder, null, 2)}\n`, { mode: 0o600 })
      await rename(fresh, path)
    },
    async release() {
      if (!database.isOpen) return
      await rm(path, { force: true })
      if (database.isOpen) database.close()
    },
  }
}

/** The holder locks the one exclusively; who waits for it reads the other. */
const files = { lock: 'lock.db', claim: 'claim.db' } as const
type LockFile = (typeof files)[keyof typeof files]
const sqliteBusy = 5
/** Ms for those who look whether there is a claim, which takes them no time at all. */
const claimTimeout = 1_000

function isLocked(folder: string, file: LockFile): boolean {
  if (!existsSync(join(folder, file))) return false
  const database = tryExclusive(folder, file)
  database?.close()
  return database === undefined
}

/** Undefined: it is locked. */
function tryExclusive(folder: string, file: LockFile): DatabaseSync | undefined {
  const database = openLock(folder, file)
  try {
    database.exec('begin exclusive')
    return database
  } catch (error) {
    database.close()
    if ((error as { errcode?: number }).errcode === sqliteBusy) return undefined
    throw unusable(folder, error)
  }
}

function openLock(folder: string, file: LockFile, { timeout = 0 } = {}): DatabaseSync {
  try {
    makeFolder(folder)
    return new DatabaseSync(join(folder, file), { timeout })
  } catch (error) {
    throw unusable(folder, error)
  }
}

function unusable(folder: string, cause: unknown): ActorError {
  return new ActorError('CONFIG_INVALID', `The folder ${folder} cannot be used: ${(cause as Error).message}`, { cause })
}

/** Who serves the folder's database; undefined while nobody has said so. */
export async function readHolder(folder: string): Promise<Holder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(join(folder, 'run.json'), 'utf8')))
  } catch {
    return undefined // not announced yet, or no longer
  }
}
