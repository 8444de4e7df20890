import { existsSync, type FSWatcher, readlinkSync, realpathSync, statSync, watch } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'

/** Ms without another change before one is told: editors write a file in several steps. */
const settle = 150

/** A watch belongs to the folder that it was opened on: who replaces that has to be watched anew. */
type Watched = { readonly watcher: FSWatcher; readonly identity: string | undefined }

/** Tells when one of its files has changed. Folders are watched, because editors replace files. */
export function watchFiles(onChange: () => void) {
  const watchers = new Map<string, Watched>()
  let names: ReadonlyMap<string, ReadonlySet<string> | 'any'> = new Map()
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  function open(folder: string): void {
    try {
      const identity = identityOf(folder)
      const watcher = watch(folder, { persistent: false }, (_, name) => {
        const told = names.get(folder)
        const isReplaced = name === basename(folder) && identityOf(folder) !== identity
        // Some systems do not say which file it was.
        if (name !== null && told !== 'any' && !told?.has(name) && !isReplaced) return
        clearTimeout(timer)
        timer = setTimeout(onChange, settle)
      })
      // A folder that was removed: the next reload finds out what is missing.
      watcher.on('error', () => close(folder))
      watchers.set(folder, { watcher, identity })
    } catch {
      // Not every file system can be watched; a reload by command is left.
    }
  }

  function close(folder: string): void {
    watchers.get(folder)?.watcher.close()
    watchers.delete(folder)
  }

  return {
    /** Watches these files instead of those before, and whatever is in these folders; nothing once it is closed. */
    set(files: readonly string[], folders: readonly string[] = []): void {
      if (isClosed) return
      const byFolder = Map.groupBy(withLinks(files).map(watchable), (file) => dirname(file))
      const wanted = new Map<string, ReadonlySet<string> | 'any'>([
        ...[...byFolder].map(([folder, inIt]) => [folder, new Set(inIt.map((file) => basename(file)))] as const),
        ...folders.map((folder) => [folder, 'any'] as const),
      ])
      names = wanted
      for (const [folder, { identity }] of [...watchers]) if (!wanted.has(folder) || identityOf(folder) !== identity) close(folder)
      for (const folder of wanted.keys()) if (!watchers.has(folder)) open(folder)
    },
    close(): void {
      isClosed = true
      clearTimeout(timer)
      for (const folder of [...watchers.keys()]) close(folder)
    },
  }
}

/** The file, or the first folder on the way to it that is missing. */
function watchable(file: string): string {
  const folder = dirname(file)
  return folder === file || existsSync(folder) ? file : watchable(folder)
}

/** The files, and the links on the way to them with what each leads to: where one is replaced, another file is meant. */
function withLinks(files: readonly string[]): string[] {
  const found = new Set(files)
  const looked = new Set<string>()
  function look(path: string): void {
    const folder = dirname(path)
    if (folder === path || looked.has(path)) return
    looked.add(path)
    look(folder)
    const target = targetOf(path)
    if (target === undefined) return
    found.add(path).add(target)
    look(target)
  }
  for (const file of files) look(file)
  return [...found]
}

/** Where a link leads; undefined: it is none, or nothing is there. */
function targetOf(path: string): string | undefined {
  try {
    const target = readlinkSync(path)
    return resolve(realpathSync(dirname(path)), target)
  } catch {
    return undefined
  }
}

/**
 * Which folder it is that has this path now; undefined: none, or none that can be looked at. With its age, as the number of one that
 * is gone is soon another's.
 */
function identityOf(folder: string): string | undefined {
  try {
    const { dev, ino, birthtimeMs } = statSync(folder)
    return [dev, ino, birthtimeMs].join()
  } catch {
    return undefined
  }
}
