import type { Command, ExitCode, Input } from './command.ts'
import { printJson } from './print.ts'
import { teamOptions } from './team-input.ts'
import { openTeamBackend } from './team-store.ts'

/** Brings the schema of the configured database up to date. */
export const dbMigrate: Command = {
  summary: 'bring the schema up to date',
  usage: '[--config <file>] [--json]',
  examples: ['troupe db migrate', 'DATABASE_URL=postgres://user@host/db troupe db migrate'],
  options: teamOptions,
  async run(input: Input): Promise<ExitCode> {
    const backend = await openTeamBackend(input)
    try {
      const { applied, version } = await backend.migrate()
      if (input.options.json) printJson({ store: backend.kind, where: backend.where, applied, version })
      else if (applied.length === 0) console.log(`Nothing to do: ${backend.where} has schema ${version}`)
      else console.log(`${applied.map((name) => `applied ${name}`).join('\n')}\n${backend.where} has schema ${version}`)
      return 0
    } finally {
      await backend.close()
    }
  },
}
