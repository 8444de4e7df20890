/** Where a child is in its life; `waiting` is the backoff before a restart, `quarantined` is parked by its own budget. */
export type Status = 'starting' | 'running' | 'draining' | 'stopped' | 'waiting' | 'quarantined'

/** What moves a child from one status to the next. */
export type Signal = 'start' | 'ready' | 'stop' | 'exit' | 'wait' | 'park'

const next = {
  stopped: { start: 'starting', wait: 'waiting', park: 'quarantined' },
  starting: { ready: 'running', stop: 'draining', exit: 'stopped' },
  running: { stop: 'draining', exit: 'stopped' },
  draining: { exit: 'stopped' },
  waiting: { start: 'starting', stop: 'stopped' },
  quarantined: { start: 'starting', stop: 'stopped' },
} as const satisfies Record<Status, Partial<Record<Signal, Status>>>

/** Returns the next status, or undefined when the signal means nothing here (a late or repeated one). */
export function step(status: Status, signal: Signal): Status | undefined {
  const moves: Partial<Record<Signal, Status>> = next[status]
  return moves[signal]
}

/** Whether a thread exists, or may exist, for a child of this status. */
export function isAlive(status: Status): boolean {
  return status === 'starting' || status === 'running' || status === 'draining'
}
