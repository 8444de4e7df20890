import { text } from 'node:stream/consumers'
import { type Command, type ExitCode, type Input, UsageError } from './command.ts'
import { formatTable, printJson, styled } from './print.ts'
import { teamOptions } from './team-input.ts'
import { openTeamBackend } from './team-store.ts'

/** Runs SQL with the rights of the database's owner; a folder that another process holds is asked through that process. */
export const dbQuery: Command = {
  summary: 'run SQL, print the rows',
  usage: '"<sql>" | - [--json]',
  examples: [
    'troupe db query "select * from v_active_jobs"',
    'troupe db query --json "select key, value from system_config" | jq',
    'troupe db query - < report.sql',
  ],
  options: teamOptions,
  words: 1,
  async run(input: Input): Promise<ExitCode> {
    const [word] = input.words
    const sql = word === '-' ? await text(process.stdin) : word
    if (!sql?.trim()) throw new UsageError('db query: the SQL is missing')
    const backend = await openTeamBackend(input)
    try {
      const { columns, rows } = await backend.query(sql)
      if (input.options.json) printJson(rows.map((row) => Object.fromEntries(columns.map((column, at) => [column, row[at]]))))
      else if (columns.length > 0)
        console.log(`${formatTable(columns, rows)}\n${styled('dim', rows.length === 1 ? '1 row' : `${rows.length} rows`)}`)
      else console.log('done')
      return 0
    } finally {
      await backend.close()
    }
  },
}
