import type { Command } from './command.ts'
import { chooseOptions, treatDead } from './dead-letters.ts'
import { hint } from './team-input.ts'

/** Takes dead letters off the list. */
export const deadDrop: Command = {
  summary: 'take dead letters off the list (replay brings them back while they are kept)',
  usage: '<id>… | --all [--agent <agent>] [--reason <word>] [--yes] [--json]',
  examples: ['troupe dead drop 0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11', 'troupe dead drop --all --reason expired'],
  options: chooseOptions,
  words: Number.POSITIVE_INFINITY,
  run: (input) =>
    treatDead(input, {
      command: 'dead drop',
      verb: 'Drop',
      done: 'dropped',
      treat: (store, letters) => store.call('drop_messages', { p_batch: [...letters] }),
      note: ([first, second]) =>
        second
          ? `To undo it: ${hint(input, 'dead replay <id>…')} (${hint(input, 'dead list --dropped')} shows the ids), or --all --dropped`
          : `To undo it: ${hint(input, `dead replay ${first?.id} --agent ${first?.agent}`)}`,
    }),
}
