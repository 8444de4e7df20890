import { changeLines, sortChanges } from './changes.ts'
import type { Command, ExitCode, Input } from './command.ts'
import { call } from './connect.ts'
import { documentLines } from './document-lines.ts'
import { printJson, styled } from './print.ts'
import { type Process, printSilent, requireTeam, silentAsJson } from './team.ts'
import { storeSettings, teamOptions } from './team-input.ts'

/** Makes the running team what its config and its actor files say now. */
export const reload: Command = {
  summary: 'read config and actor files again, restart only what changed',
  usage: '[--folder <path>] [--json]',
  examples: ['troupe reload'],
  notes: [
    'A running team watches its files and does this by itself. A faulty change leaves everything as it is: it is told here, with exit code 2.',
    'Documents of MongoDB are read, too. When they cannot be, their agents stay as they are, and the exit code is 1.',
    'A process that does not answer is named, and the exit code is 1.',
  ],
  options: teamOptions,
  async run(input: Input): Promise<ExitCode> {
    const team = await requireTeam((await storeSettings(input)).folder)
    const { processes } = team
    const outcomes = await Promise.allSettled(processes.map(reloadOne))
    const done = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    if (!input.options.json) for (const one of done) print(one, processes.length > 1)
    if (!input.options.json) printSilent(team)
    const failure = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failure) throw failure.reason
    if (input.options.json) printJson({ reloads: done, ...(team.silent.length > 0 && { silent: silentAsJson(team) }) })
    return team.silent.length > 0 || done.some(({ documents }) => documents?.kind === 'failed') ? 1 : 0
  },
}

async function reloadOne({ address, pid }: Process) {
  const changes = await call(address, 'reload', {})
  return { pid, teams: sortChanges(changes), later: changes.later, documents: changes.documents }
}

function print({ pid, teams, later, documents }: Awaited<ReturnType<typeof reloadOne>>, isOneOfMany: boolean): void {
  const lines = changeLines(teams, later)
  if (isOneOfMany) console.log(styled('bold', `process ${pid}`))
  console.log([...(lines.length === 0 ? ['Nothing has changed.'] : lines), ...documentLines(documents)].join('\n'))
}
