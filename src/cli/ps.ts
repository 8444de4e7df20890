import type { Command, ExitCode, Input } from './command.ts'
import { formatTable, printJson, styled } from './print.ts'
import { mergeAgents, type Process, requireTeam, silentAsJson, type Team } from './team.ts'
import { storeSettings, teamOptions } from './team-input.ts'

/** Shows every agent of every process that shares the folder. */
export const ps: Command = {
  summary: 'list the agents of the running team',
  usage: '[--folder <path>] [--json]',
  examples: ['troupe ps', 'troupe ps --json | jq \'.agents[] | select(.status != "running") | .id\''],
  options: teamOptions,
  async run(input: Input): Promise<ExitCode> {
    const { folder } = await storeSettings(input)
    const team = await requireTeam(folder)
    if (input.options.json) printJson(asJson(team))
    else print(team)
    return 0
  },
}

function asJson(team: Team) {
  const processes = team.processes.map(({ pid, status }) => ({ pid, ...status }))
  return { agents: mergeAgents(team), processes, silent: silentAsJson(team) }
}

const megabyte = 2 ** 20

function print(team: Team): void {
  const agents = mergeAgents(team)
  const isShared = team.processes.length > 1
  const columns = ['team', 'id', 'type', 'status', 'incarnation', 'mailbox', 'MB', ...(isShared ? ['process'] : []), 'says']
  const rows = agents.map(({ team: name, id, type, status, incarnation, mailbox, memory, pid, says }) => {
    const inMegabytes = memory === undefined ? null : Math.round(memory / megabyte)
    return [name, id, type, status, incarnation, mailbox, inMegabytes, ...(isShared ? [pid] : []), says]
  })
  if (rows.length > 0) console.log(`${formatTable(columns, rows)}\n`)
  for (const one of team.processes) console.log(stateOf(one, isShared))
  for (const { message } of team.silent) console.log(styled('yellow', message))
}

function stateOf({ pid, status }: Process, isShared: boolean): string {
  const { store, isReady, reasons } = status
  const readiness = isReady ? styled('green', 'ready') : styled('yellow', `not ready: ${reasons.join('; ')}`)
  const who = isShared ? `process ${pid}  ` : ''
  const where = store.kind === 'unknown' ? 'store not open yet' : `store ${store.kind}: ${store.where}`
  return `${who}${where}  ${readiness}`
}
