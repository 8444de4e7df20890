import { type ChildSpec, defaults, type TeamSpec } from './spec.ts'
import type { Team } from './team.ts'

/**
 * The supervisor of all teams, as one more team. A team that ends by itself has used up a budget of its own, so it is parked at
 * once, until a command or a new version; the others go on. Boot it empty and apply the teams: then one that cannot start is
 * parked as well, where the first start of an ordinary team fails as a whole.
 */
export function rootSpec(teams: readonly { id: string; version: string }[]): TeamSpec {
  const policy: Omit<ChildSpec, 'id' | 'version'> = {
    ...defaults.child,
    // A team has its own limits for each of its children.
    shutdown: Number.POSITIVE_INFINITY,
    startTimeout: Number.POSITIVE_INFINITY,
    budget: 1,
    quarantine: { first: Number.POSITIVE_INFINITY, max: Number.POSITIVE_INFINITY },
  }
  return { id: 'root', ...defaults.team, children: teams.map(({ id, version }) => ({ ...policy, id, version })) }
}

/** The exit code of the process once the root says that it is over: 1 when no team is left, 0 after a stop; until then none. */
export function exitCode(root: Team): 0 | 1 | undefined {
  if (root.phase.kind === 'stopped') return root.phase.exit === 'shutdown' ? 0 : 1
  const isOver = root.children.every(({ status }) => status === 'quarantined' || status === 'stopped')
  return isOver && root.children.some(({ status }) => status === 'quarantined') ? 1 : undefined
}
