import { agentWord, commandAgent } from './agent-command.ts'
import type { Command } from './command.ts'
import { teamOptions } from './team-input.ts'

/** Ends a pause. */
export const resume: Command = {
  summary: 'let a paused agent go on',
  usage: '<agent> [--json]',
  examples: ['troupe resume trader-1'],
  notes: ['A start that fails is told, with exit code 1, and tried again like any other: troupe why shows when.'],
  options: teamOptions,
  words: 1,
  async run(input) {
    const agent = agentWord(input, 'resume')
    return await commandAgent(input, 'resume', { agent }, ({ id, status }) => `${id} is ${status}`)
  },
}
