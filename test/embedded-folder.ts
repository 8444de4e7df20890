import { createHash } from 'node:crypto'
import { cpSync, existsSync } from 'node:fs'
import { readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readMigrations } from '../src/store/migrate.ts'
import { openBackend } from '../src/store/open.ts'

const root = join(import.meta.dirname, '..')

/**
 * Puts a database into a folder, as the first start there would: loading the schema takes more than a second, and most tests have
 * something else to tell. It is a copy of one that is made once for what it is made of, and kept for later runs.
 */
export async function makeDatabase(folder: string): Promise<void> {
  const kept = join(root, 'node_modules/.cache/troupe-test', `database-${await version()}`)
  if (!existsSync(kept)) await make(kept)
  cpSync(kept, join(folder, 'db'), { recursive: true })
}

async function version(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(join(root, 'supabase/embedded/pg18.tar.zst')))
  for (const { version, sql } of await readMigrations()) hash.update(version).update(sql)
  return hash.digest('hex').slice(0, 16)
}

async function make(kept: string): Promise<void> {
  const draft = `${kept}-${process.pid}`
  const backend = await openBackend({ env: {}, folder: draft })
  await backend.close()
  await rename(join(draft, 'db'), kept).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error // else another process was first
  })
  await rm(draft, { recursive: true, force: true })
}
