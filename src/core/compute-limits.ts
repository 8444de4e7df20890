/** How much of the machine tasks may take. */
export type ComputeLimits = {
  /** Threads at most; never more than there are cores. */
  readonly threads: number
  /** Tasks that may wait for a thread; one more is refused. */
  readonly queue: number
  /** Ms that a task may run, unless it says so itself. */
  readonly timeout: number
  /** Bytes that a thread may hold; more ends it, and the task it runs. */
  readonly memory: number
}

export const computeDefaults: ComputeLimits = {
  threads: Number.POSITIVE_INFINITY,
  queue: 1_000,
  timeout: 60_000,
  memory: 512 * 2 ** 20,
}
