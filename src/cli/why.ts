import { agentWord } from './agent-command.ts'
import type { Command, ExitCode, Input } from './command.ts'
import { call } from './connect.ts'
import { plain, printJson, styled } from './print.ts'
import { holderOf, requireTeam } from './team.ts'
import { storeSettings, teamOptions } from './team-input.ts'
import { whyLines } from './why-text.ts'

const labelWidth = 11

/** Explains what an agent is doing, or why it is not. */
export const why: Command = {
  summary: 'explain an agent: why it restarted, waits, is in quarantine or stands by',
  usage: '<agent> [--json]',
  examples: ['troupe why scanner-main', "troupe why scanner-main --json | jq '.exit.error.stack'"],
  options: teamOptions,
  words: 1,
  async run(input: Input): Promise<ExitCode> {
    const agent = agentWord(input, 'why')
    const { folder } = await storeSettings(input)
    const { address, pid } = holderOf(await requireTeam(folder), agent)
    const answer = await call(address, 'why', { agent })
    if (input.options.json) printJson({ ...answer, pid })
    else for (const [label, text] of whyLines(answer, pid, Date.now())) printLine(label, text)
    return 0
  },
}

function printLine(label: string, text: string): void {
  const [first = '', ...rest] = text.split('\n').map(plain)
  console.log(`${styled('bold', label.padEnd(labelWidth))}${first}`)
  for (const more of rest) console.log(`${' '.repeat(labelWidth)}${more}`)
}
