import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Where recorded market and series data lies beside a checkout; its licences keep it out of the repository. */
export const recordedFolder = '../shared/data'

const root = resolve(process.env.TROUPE_RECORDED ?? join(import.meta.dirname, '..', recordedFolder))

/** Whether there is any recorded data; a test that needs it says `test.skipIf(!hasRecorded)`. */
export const hasRecorded = existsSync(root)

/** Returns the full path of a recorded file or folder, or undefined where it is absent. */
export function recorded(path: string): string | undefined {
  const full = join(root, path)
  return existsSync(full) ? full : undefined
}
