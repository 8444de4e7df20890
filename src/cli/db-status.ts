import { explained, storeTrouble } from '../core/troubles.ts'
import { storeOver } from '../store/open.ts'
import { readSummary, type Summary } from '../store/summary.ts'
import type { Command, ExitCode, Input } from './command.ts'
import { printJson, styled } from './print.ts'
import { teamOptions } from './team-input.ts'
import { openTeamBackend } from './team-store.ts'

/** Opens the store and prints what is there: the first thing to look at when something is wrong. */
export const dbStatus: Command = {
  summary: 'print which store is in use, its schema and its tables',
  usage: '[--config <file>] [--folder <path>] [--json]',
  examples: ['troupe db status', 'troupe db status --json'],
  options: teamOptions,
  async run(input: Input): Promise<ExitCode> {
    const backend = await openTeamBackend(input)
    await using store = storeOver(backend)
    const health = await store.health()
    const state = { store: backend.kind, where: backend.where, health }
    if (health.status !== 'ok') {
      if (input.options.json) printJson(state)
      else printTrouble(explained(storeTrouble(backend.kind, health.status), health.message))
      return 1
    }
    const { applied } = backend.kind === 'embedded' ? await backend.migrate() : { applied: [] }
    const summary = await readSummary(backend)
    if (input.options.json) printJson({ ...state, applied, ...summary })
    else printState({ kind: backend.kind, where: backend.where, schema: health.schema, applied, summary })
    return 0
  },
}

function printTrouble({ message, hint }: ReturnType<typeof explained>): void {
  console.error(hint === undefined ? message : `${message}\nhint: ${hint}`)
}

interface State {
  readonly kind: string
  readonly where: string
  readonly schema: string
  readonly applied: readonly string[]
  readonly summary: Summary | undefined
}

function printState({ kind, where, schema, applied, summary }: State): void {
  const fresh = applied.length > 0 ? styled('dim', ` (${applied.length} migrations applied just now)`) : ''
  const line = (label: string, text: string) => console.log(`${styled('bold', label.padEnd(10))}${text}`)
  line('store', `${kind}: ${where}`)
  if (summary) line('database', `PostgreSQL ${summary.postgres}`)
  line('schema', schema + fresh)
  const width = Math.max(0, ...(summary?.tables ?? []).map(({ name }) => name.length))
  for (const [at, { name, rows }] of (summary?.tables ?? []).entries())
    line(at === 0 ? 'tables' : '', `${name.padEnd(width)}  ${rows.padStart(6)}`)
  console.log(`\nLook closer with ${styled('cyan', 'troupe db query "select * from v_active_jobs"')}`)
}
