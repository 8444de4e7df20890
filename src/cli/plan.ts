import { changeLines, sortChanges, type TeamChanges } from './changes.ts'
import type { Command, ExitCode, Input } from './command.ts'
import { call } from './connect.ts'
import { type DocumentChanges, documentLines } from './document-lines.ts'
import { printJson, styled } from './print.ts'
import { findTeam, printSilent, silentAsJson, type Team } from './team.ts'
import { storeSettings, teamOptions } from './team-input.ts'

/** What one process would do; without a pid: the process that does not run yet. */
type Plan = {
  readonly pid: number | undefined
  readonly teams: readonly TeamChanges[]
  readonly later?: readonly string[] | undefined
  readonly documents?: DocumentChanges | undefined
}

/** Shows what a reload would do, and does nothing. */
export const plan: Command = {
  summary: 'show what a reload would stop, change and start',
  usage: '[--config <file>] [--folder <path>] [--json]',
  examples: ['troupe plan', 'troupe plan --config config/bazaar.yaml'],
  notes: [
    'A running team compares what runs with its own config as it is now; --config matters when no team runs: then everything would start.',
    'Documents of MongoDB that bring no agent are listed as skipped, with their reason; those of an id that the config has, too: the config wins.',
    'A process that does not answer is named, and the exit code is 1: what it would do nobody knows.',
  ],
  options: teamOptions,
  async run(input: Input): Promise<ExitCode> {
    const team = await findTeam((await storeSettings(input)).folder)
    const plans = await makePlans(input, team)
    if (input.options.json) printJson({ plans, ...(team.silent.length > 0 && { silent: silentAsJson(team) }) })
    else {
      for (const one of plans) print(one, plans.length > 1)
      printSilent(team)
    }
    return team.silent.length > 0 ? 1 : 0
  },
}

async function makePlans(input: Input, { processes, silent }: Team): Promise<Plan[]> {
  if (processes.length === 0 && silent[0]) throw silent[0]
  if (processes.length === 0) return [{ pid: undefined, ...(await wholeTeam(input)) }]
  return await Promise.all(
    processes.map(async ({ address, pid }) => {
      const changes = await call(address, 'plan', {})
      return { pid, teams: sortChanges(changes), later: changes.later, documents: changes.documents }
    }),
  )
}

async function wholeTeam(input: Input): Promise<Omit<Plan, 'pid'>> {
  const [{ openProject }, { desire }, { documentChanges }] = await Promise.all([
    import('./project.ts'),
    import('../host/desired.ts'),
    import('../host/changes.ts'),
  ])
  await using project = await openProject(input)
  const { teams, documents } = await desire(await project.source.read(), project.settings)
  return {
    teams: teams.map(({ id, children }) => ({ team: id, stop: [], start: children.map((child) => child.id), change: [] })),
    documents: documents && documentChanges(documents),
  }
}

function print({ pid, teams, later, documents }: Plan, isOneOfMany: boolean): void {
  if (pid === undefined) console.log(styled('dim', 'No team runs here, so everything would start:'))
  else if (isOneOfMany) console.log(styled('bold', `process ${pid}`))
  const lines = changeLines(teams, later)
  console.log([...(lines.length === 0 ? ['Nothing would change.'] : lines), ...documentLines(documents)].join('\n'))
}
