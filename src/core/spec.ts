/** When a child that has ended is started again: always, unless it ended well, never. */
export type Restart = 'permanent' | 'transient' | 'temporary'

/** Who is restarted with a child that is restarted: nobody, everybody, or those after it. */
export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one'

/** A team's budget: at most `max` restarts in any `within` milliseconds. */
export type Intensity = { readonly max: number; readonly within: number }

/** The wait before a restart: `first` ms, doubling to `max`, up to the part `jitter` of it taken off, forgotten after `reset` ms of health. */
export type Backoff = { readonly first: number; readonly max: number; readonly jitter: number; readonly reset: number }

/** When a quarantined child is tried again: after `first` ms, doubling to `max`; Infinity means on command only. */
export type Quarantine = { readonly first: number; readonly max: number }

/** What a supervisor has to know of a child: who it is and its policy. What to run is the host's to add. */
export type ChildSpec = {
  readonly id: string
  /** Hash of the spec and the actor's code: another version is another child. */
  readonly version: string
  readonly restart: Restart
  /** Ms from the request to stop to the kill: 0 kills at once, Infinity waits. */
  readonly shutdown: number
  readonly startTimeout: number
  readonly backoff: Backoff
  /** The child's own budget: this many exits without a healthy period between them quarantine it; Infinity never does. */
  readonly budget: number
  readonly quarantine: Quarantine
}

/** A supervisor's spec: its children in the order in which they start, and what binds them. */
export type TeamSpec = {
  readonly id: string
  readonly strategy: Strategy
  readonly intensity: Intensity
  readonly children: readonly ChildSpec[]
}

const second = 1_000
const minute = 60 * second

/** What a spec that says nothing gets. */
export const defaults = {
  child: {
    restart: 'permanent',
    shutdown: 5 * second,
    startTimeout: 30 * second,
    backoff: { first: 200, max: 30 * second, jitter: 0.2, reset: minute },
    budget: 5,
    quarantine: { first: 5 * minute, max: 60 * minute },
  },
  team: { strategy: 'one_for_one', intensity: { max: 10, within: minute } },
} as const satisfies { child: Omit<ChildSpec, 'id' | 'version'>; team: Omit<TeamSpec, 'id' | 'children'> }

/** Says in words what makes a team's spec unusable; types and ranges of single fields are checked at the rim. */
export function faultsOf(spec: TeamSpec): string[] {
  const ids = spec.children.map((child) => child.id)
  const repeated = new Set(ids.filter((id, index) => ids.indexOf(id) !== index))
  return [...repeated].map((id) => `Team "${spec.id}" has more than one child "${id}"`)
}
