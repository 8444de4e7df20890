import { agentWord, commandAgent } from './agent-command.ts'
import type { Command } from './command.ts'
import { teamOptions } from './team-input.ts'

/** Gives an agent no more work. */
export const pause: Command = {
  summary: 'stop an agent and keep its messages until it is resumed',
  usage: '<agent> [--json]',
  examples: ['troupe pause trader-1'],
  notes: ['What it has in hand is finished. Who asks it is told at once that it is down. A restart of the process ends a pause.'],
  options: teamOptions,
  words: 1,
  async run(input) {
    const agent = agentWord(input, 'pause')
    return await commandAgent(input, 'pause', { agent }, ({ id }) => `${id} is paused; troupe resume ${id}`)
  },
}
