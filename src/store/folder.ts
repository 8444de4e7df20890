import { mkdirSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import * as z from 'zod'
import { ActorError } from '../core/errors.ts'

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

export type Entry =
  | { readonly kind: 'owner'; readonly lock: FolderLock }
  | { readonly kind: 'guest'; readonly holder: Holder }
  | { readonly kind: 'held'; readonly holder: Holder | undefined }

export interface EnterOptions {
  /** How long to wait for a holder that does not answer (yet): it may be starting, ending or frozen. */
  readonly patience: number
  readonly isAlive: (holder: Holder) => Promise<boolean>
  readonly signal?: AbortSignal
}

const pause = 50

/** Locks the folder, or finds the process that has it: somebody to join, or somebody who does not answer. */
export async function enterFolder(folder: string, { patience, isAlive, signal }: EnterOptions): Promise<Entry> {
  const limit = performance.now() + patience
  while (true) {
    const lock = tryLock(folder)
    if (lock) return { kind: 'owner', lock }
    const holder = await readHolder(folder)
    if (holder && (await isAlive(holder))) return { kind: 'guest', holder }
    if (performance.now() >= limit) return { kind: 'held', holder }
    await delay(pause, undefined, { signal })
  }
}

/** An SQLite lock because it dies with its process, whereas in containers every process may have the pid of the last one. */
function tryLock(folder: string): FolderLock | undefined {
  const database = openLock(folder)
  try {
    database.exec('begin exclusive')
  } catch (error) {
    database.close()
    if ((error as { errcode?: number }).errcode === sqliteBusy) return undefined
    throw unusable(folder, error)
  }
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

const sqliteBusy = 5

function openLock(folder: string): DatabaseSync {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return new DatabaseSync(join(folder, 'lock.db'), { timeout: 0 })
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
