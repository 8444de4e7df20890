import type { Command } from './command.ts'
import { chooseOptions, droppedOption, treatDead } from './dead-letters.ts'
import { wakeTeam } from './wake-team.ts'

/** Gives dead letters another life, behind what waits already. */
export const deadReplay: Command = {
  summary: 'give dead letters another life',
  usage: '<id>… | --all [--dropped] [--agent <agent>] [--reason <word>] [--yes] [--json]',
  examples: [
    'troupe dead replay 0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11',
    'troupe dead replay --all --agent trader-1 --yes',
    'troupe dead replay --all --dropped --reason expired',
  ],
  notes: ['One that was dropped comes back too, while it is kept: by its id, or with --dropped.'],
  options: { ...chooseOptions, ...droppedOption },
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
