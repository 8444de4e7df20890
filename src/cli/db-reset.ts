import { configuredTarget } from '../host/open.ts'
import { deleteEmbedded, openEmbedded } from '../store/embedded.ts'
import { readMigrations } from '../store/migrate.ts'
import { type Command, type ExitCode, type Input, UsageError } from './command.ts'
import { isConfirmed, yesOption } from './confirm.ts'
import { printJson } from './print.ts'
import { storeSettings, teamOptions } from './team-input.ts'

/** Makes the embedded database anew. A server's database is never dropped from here. */
export const dbReset: Command = {
  summary: 'delete everything in the embedded database (asks first)',
  usage: '[--yes] [--config <file>] [--folder <path>] [--json]',
  examples: ['troupe db reset', 'troupe db reset --yes'],
  options: { ...teamOptions, ...yesOption },
  async run(input: Input): Promise<ExitCode> {
    const { options, env } = input
    const settings = await storeSettings(input)
    const { folder } = settings
    const { kind } = configuredTarget(settings, env)
    if (kind !== 'embedded') throw new UsageError(`db reset: is for the embedded store only, and this team's store is ${kind}`)
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
