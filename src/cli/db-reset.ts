import { deleteEmbedded, openEmbedded } from '../store/embedded.ts'
import { readMigrations } from '../store/migrate.ts'
import { defaultFolder } from '../store/open.ts'
import { storeTarget } from '../store/target.ts'
import { type Command, type ExitCode, type Input, storeOptions, UsageError } from './command.ts'
import { isConfirmed, yesOption } from './confirm.ts'
import { printJson } from './print.ts'

/** Makes the embedded database anew. A server's database is never dropped from here. */
export const dbReset: Command = {
  summary: 'delete everything in the embedded database (asks first)',
  usage: '[--yes] [--folder <path>] [--json]',
  examples: ['troupe db reset', 'troupe db reset --yes'],
  options: { ...storeOptions, ...yesOption },
  async run({ options, env }: Input): Promise<ExitCode> {
    const { kind } = storeTarget(env)
    if (kind !== 'embedded') throw new UsageError(`db reset: is for the embedded store only, and the environment asks for the ${kind} one`)
    const folder = String(options.folder ?? defaultFolder)
    if (!(await isConfirmed({ options }, 'db reset', `Delete everything in ${folder}?`))) {
      console.error('Nothing was deleted.')
      return 1
    }
    await deleteEmbedded(folder)
    const store = await openEmbedded({ folder, migrations: await readMigrations() })
    await store.close()
    if (options.json) printJson({ folder, applied: store.applied })
    else console.log(`${folder} has a new, empty database.`)
    return 0
  },
}
