import { agentWord, commandAgent } from './agent-command.ts'
import type { Command } from './command.ts'
import { teamOptions } from './team-input.ts'

/** Starts an agent again, whatever it is doing, also out of quarantine. */
export const restart: Command = {
  summary: 'start an agent again, if wanted with its last good version',
  usage: '<agent> [--last-good] [--json]',
  examples: ['troupe restart scanner-main', 'troupe restart scanner-main --last-good'],
  notes: [
    'What it has in hand is finished first, within its shutdown time; its messages wait. With --last-good it runs the version before this',
    'one until its file or its config changes, or until it is restarted without.',
  ],
  options: { 'last-good': { type: 'boolean', help: 'go back to the version that ran before' }, ...teamOptions },
  words: 1,
  async run(input) {
    const agent = agentWord(input, 'restart')
    const lastGood = input.options['last-good'] === true
    return await commandAgent(input, 'restart', { agent, lastGood }, ({ id, status, incarnation, version }) => {
      return `${id} is ${status}: incarnation ${incarnation}, version ${version}`
    })
  },
}
