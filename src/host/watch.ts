import { existsSync, type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

/** Ms without another change before one is told: editors write a file in several steps. */
const settle = 150

/** Tells when one of its files has changed. Folders are watched, because editors replace files. */
export function watchFiles(onChange: () => void) {
  const watchers = new Map<string, FSWatcher>()
  let names: ReadonlyMap<string, ReadonlySet<string> | 'any'> = new Map()
  let timer: NodeJS.Timeout | undefined

  function open(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, (_, name) => {
        const told = names.get(folder)
        // Some systems do not say which file it was.
        if (name !== null && told !== 'any' && !told?.has(name)) return
        clearTimeout(timer)
        timer = setTimeout(onChange, settle)
      })
      // A folder that was removed: the next reload finds out what is missing.
      watcher.on('error', () => close(folder))
      watchers.set(folder, watcher)
    } catch {
      // Not every file system can be watched; a reload by command is left.
    }
  }

  function close(folder: string): void {
    watchers.get(folder)?.close()
    watchers.delete(folder)
  }

  return {
    /** Watches these files instead of those before, and whatever is in these folders. */
    set(files: readonly string[], folders: readonly string[] = []): void {
      const byFolder = Map.groupBy(files.map(watchable), (file) => dirname(file))
      const wanted = new Map<string, ReadonlySet<string> | 'any'>([
        ...[...byFolder].map(([folder, inIt]) => [folder, new Set(inIt.map((file) => basename(file)))] as const),
        ...folders.map((folder) => [folder, 'any'] as const),
      ])
      names = wanted
      for (const folder of [...watchers.keys()]) if (!wanted.has(folder)) close(folder)
      for (const folder of wanted.keys()) if (!watchers.has(folder)) open(folder)
    },
    close(): void {
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
