import type { Command, ExitCode, Input } from './command.ts'
import { type DeadLetter, droppedOption, filterOptions, noneText, readDead } from './dead-letters.ts'
import { formatTable, printJson } from './print.ts'
import { withStore } from './team-store.ts'
import { since } from './times.ts'

const usual = 50

/** Lists what nobody will handle any more. */
export const deadList: Command = {
  summary: 'list dead letters: messages that will not be tried again',
  usage: '[--agent <agent>] [--reason <word>] [--dropped] [--limit <number>] [--json]',
  examples: [
    'troupe dead list',
    'troupe dead list --agent trader-1 --reason expired',
    'troupe dead list --dropped',
    "troupe dead list --json | jq -r '.letters[].id'",
  ],
  options: {
    ...droppedOption,
    ...filterOptions,
    limit: { ...filterOptions.limit, help: `at most so many, the latest first (default ${usual})` },
  },
  async run(input: Input): Promise<ExitCode> {
    const { letters, none } = await withStore(input, async (store) => {
      const found = await readDead(store, input, usual)
      return { letters: found, none: found.length === 0 ? await noneText(store, input) : undefined }
    })
    if (input.options.json) printJson({ letters: letters.map(asJson) })
    else console.log(none ?? tableOf(letters))
    return 0
  },
}

function asJson({ agent_id: agent, from_agent: from, died_at: diedAt, ...letter }: DeadLetter) {
  const { id, type, reason, error, attempts, interruptions } = letter
  return { id, agent, from, type, reason, error, attempts, interruptions, diedAt }
}

function tableOf(letters: readonly DeadLetter[]): string {
  const now = Date.now()
  const rows = letters.map(({ id, agent_id, from_agent, type, reason, attempts, died_at, error }) => {
    return [id, agent_id, from_agent, type, reason, attempts, since(died_at, now), error]
  })
  return formatTable(['id', 'agent', 'from', 'type', 'reason', 'attempts', 'died', 'error'], rows)
}
