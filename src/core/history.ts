import type { ChildSpec, Intensity } from './spec.ts'

/** What a child of this version has against it: exits in a row, quarantines in a row, until when it is parked (null: until a command). */
export type Standing = {
  readonly version: string
  readonly exits: number
  readonly quarantines: number
  readonly until?: number | null
}

/**
 * What a team remembers of its restarts. Plain JSON, and a new object whenever it changes: the host saves it when it does and
 * hands it back at boot, so that a restart of the process does not forgive a crash loop. Its times are therefore wall-clock ms.
 */
export type History = {
  readonly restarts: readonly { readonly id: string; readonly at: number }[]
  readonly children: Readonly<Record<string, Standing>>
}

/** Whose history it is: another version is another child. */
type Who = Pick<ChildSpec, 'id' | 'version'>

/** Nothing has happened yet. */
export const clean: History = { restarts: [], children: {} }

/** What a child has against it; nothing, if it is not on record or the record is of another version. */
export function standingOf(history: History, { id, version }: Who): Standing {
  // A child may be called "constructor".
  const standing = Object.hasOwn(history.children, id) ? history.children[id] : undefined
  return standing?.version === version ? standing : { version, exits: 0, quarantines: 0 }
}

/** Counts one more exit in a row. */
export function countExit(history: History, who: Who): History {
  const standing = standingOf(history, who)
  return withStanding(history, who, { ...standing, exits: standing.exits + 1 })
}

/** Parks a child once more. */
export function park(history: History, who: Who, until: number | null): History {
  const standing = standingOf(history, who)
  return withStanding(history, who, { ...standing, quarantines: standing.quarantines + 1, until })
}

/** Takes a child out of quarantine without forgiving it: the next exit parks it again, for longer. */
export function unpark(history: History, who: Who): History {
  const { until: _, ...standing } = standingOf(history, who)
  return withStanding(history, who, standing)
}

/** Forgets what a child has against it; the team's budget does not, because only age takes restarts out of it. */
export function forgive(history: History, { id }: Pick<Who, 'id'>): History {
  if (!Object.hasOwn(history.children, id)) return history
  const { [id]: _, ...children } = history.children
  return { ...history, children }
}

/**
 * Counts one restart against the team's budget. The children that now wait `delay` ms have their restarts moved on by as much:
 * time spent in backoff does not age them, or else a growing backoff would carry any crash loop past any window. (Waits that
 * overlap count each, and one that is cut short counts whole: both only make a budget a little stricter.)
 */
export function countRestart(
  history: History,
  restart: { id: string; now: number; delay: number; waiting: readonly string[] },
  intensity: Intensity,
): History {
  const { id, now, delay, waiting } = restart
  const recent = history.restarts.filter(({ at }) => now - at < intensity.within)
  const restarts = [...recent, { id, at: now }].map((past) => (waiting.includes(past.id) ? { ...past, at: past.at + delay } : past))
  return { ...history, restarts }
}

function withStanding(history: History, { id }: Who, standing: Standing): History {
  return { ...history, children: { ...history.children, [id]: standing } }
}
