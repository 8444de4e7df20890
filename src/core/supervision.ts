import type { History, Standing } from './history.ts'

/** What is kept of one agent's supervision beside its lease, so that it goes wherever the agent goes. Plain JSON; times are wall-clock ms. */
export type Supervision = {
  readonly standing?: Standing
  /** When it was restarted, as far as its team's budget still counts it. */
  readonly restarts: readonly number[]
}

/** What a team's history says of one agent. */
export function supervisionOf(history: History, id: string): Supervision {
  const standing = Object.hasOwn(history.children, id) ? history.children[id] : undefined
  const restarts = history.restarts.filter((restart) => restart.id === id).map(({ at }) => at)
  return { ...(standing && { standing }), restarts }
}

/** A team's history with agents that come to it: what is kept of them is newer than what the team remembers from having had them. */
export function recall(history: History, kept: ReadonlyMap<string, Supervision>): History {
  if (kept.size === 0) return history
  const restarts = [...kept].flatMap(([id, { restarts: times }]) => times.map((at) => ({ id, at })))
  const standings = [...kept].flatMap(([id, { standing }]) => (standing ? [[id, standing] as const] : []))
  const others = Object.entries(history.children).filter(([id]) => !kept.has(id))
  return {
    restarts: [...history.restarts.filter(({ id }) => !kept.has(id)), ...restarts].sort((a, b) => a.at - b.at),
    children: Object.fromEntries([...others, ...standings]),
  }
}

/**
 * Reads what was kept. What another version of Troupe wrote may say other things: then nothing is held against the agent. A restart
 * that has yet to come was noted by a clock that was ahead: it would count until this one is there, and counts as one of now.
 */
export function readSupervision(kept: Readonly<Record<string, unknown>> = {}, now: number): Supervision {
  const times = Array.isArray(kept.restarts) ? kept.restarts.filter((at) => typeof at === 'number') : []
  const restarts = times.map((at) => Math.min(at, now))
  return isStanding(kept.standing) ? { standing: kept.standing, restarts } : { restarts }
}

function isStanding(value: unknown): value is Standing {
  if (typeof value !== 'object' || value === null) return false
  const { version, exits, quarantines, until } = value as Readonly<Record<string, unknown>>
  const isUntil = until === undefined || until === null || typeof until === 'number'
  return typeof version === 'string' && typeof exits === 'number' && typeof quarantines === 'number' && isUntil
}
