import type { Result } from '../ops/control-api.ts'
import { styled } from './print.ts'

type Changes = Result<'plan'>

/** What a reload does to one team; who is stopped only to be started again has changed. */
export interface TeamChanges {
  readonly team: string
  readonly stop: readonly string[]
  readonly start: readonly string[]
  readonly change: readonly string[]
}

/** Tells agents that change from those that come and go. */
export function sortChanges({ teams }: Changes): TeamChanges[] {
  return teams.map(({ team, stop, start }) => ({
    team,
    stop: stop.filter((id) => !start.includes(id)),
    start: start.filter((id) => !stop.includes(id)),
    change: start.filter((id) => stop.includes(id)),
  }))
}

/** One line for each kind of change of each team, and one for what has to wait; none when nothing changes. */
export function changeLines(teams: readonly TeamChanges[], later: Changes['later'] = []): string[] {
  const kinds = [
    ['stop', 'red'],
    ['change', 'yellow'],
    ['start', 'green'],
  ] as const
  const lines = teams.flatMap(({ team, ...changes }) =>
    kinds.flatMap(([kind, colour]) =>
      changes[kind].length === 0 ? [] : [`${team}  ${styled(colour, kind.padEnd(6))}  ${changes[kind].join(', ')}`],
    ),
  )
  return later.length === 0 ? lines : [...lines, `${styled('yellow', later.join(', '))}: take effect at the next start of the process`]
}
