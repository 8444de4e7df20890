import type { Args } from '../ops/control-api.ts'
import { type ExitCode, type Input, UsageError } from './command.ts'
import { call } from './connect.ts'
import { printJson } from './print.ts'
import { type Agent, holderOf, requireTeam } from './team.ts'
import { storeSettings } from './team-input.ts'

type Name = 'restart' | 'pause' | 'resume'

/** The agent that a command is about. */
export function agentWord({ words }: Pick<Input, 'words'>, command: string): string {
  const [agent] = words
  if (agent) return agent
  throw new UsageError(`${command}: which agent? troupe ps lists them`)
}

/** Has something done to an agent by the process that runs it, and shows what it is then. */
export async function commandAgent<Operation extends Name>(
  input: Input,
  operation: Operation,
  args: Args<Operation>,
  says: (agent: Agent) => string,
): Promise<ExitCode> {
  const { folder } = await storeSettings(input)
  const { address, pid } = holderOf(await requireTeam(folder), args.agent)
  const agent: Agent = await call(address, operation, args)
  if (input.options.json) printJson({ ...agent, pid })
  else console.log(says(agent))
  return 0
}
