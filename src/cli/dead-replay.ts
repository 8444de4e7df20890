import type { Command } from './command.ts'
import { chooseOptions, treatDead } from './dead-letters.ts'
import { wakeTeam } from './wake-team.ts'

/** Gives dead letters another life, behind what waits already. */
export const deadReplay: Command = {
  summary: 'give dead letters another life',
  usage: '<id>… | --all [--agent <agent>] [--reason <word>] [--yes] [--json]',
  examples: ['troupe dead replay 0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11', 'troupe dead replay --all --agent trader-1 --yes'],
  notes: ['One that was dropped comes back too, while it is kept: name its id and --agent.'],
  options: chooseOptions,
  words: Number.POSITIVE_INFINITY,
  async run(input) {
    const code = await treatDead(input, {
      command: 'dead replay',
      verb: 'Replay',
      done: 'replayed',
      treat: (store, letters) => store.call('replay_messages', { p_batch: [...letters] }),
      note: () => undefined,
    })
    await wakeTeam(input)
    return code
  },
}
