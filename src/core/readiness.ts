/** What decides whether a process does its work, or could at once. */
export type Condition = {
  readonly phase: string
  readonly isStoreAway: boolean
  /** Nobody has confirmed the leases for too long. */
  readonly isInDoubt: boolean
  /** What a person has to do before the store can be used. */
  readonly unfit: string | undefined
  /** A database of documents is configured, and what agents it wants is not known yet. */
  readonly isSourceUnread: boolean
  /** Threads that cannot be ended. */
  readonly zombies: number
  /** Teams that gave up. */
  readonly parked: readonly string[]
  readonly agents: readonly {
    readonly id: string
    readonly status: string
    /** It was up before, in this process. */
    readonly wasUp: boolean
  }[]
}

/**
 * Says why a process is not ready; nothing: it is. An agent that was up and starts again is no reason, as restarts are the
 * supervisor's daily work; one that has never come up is, so that a deployment waits for it, and one in quarantine, which needs a
 * person. An agent that another process runs (standby) is none: taking over is what this one is there for.
 */
export function reasonsNotReady(condition: Condition): string[] {
  const { phase, isStoreAway, isInDoubt, unfit, isSourceUnread, zombies, parked, agents } = condition
  const quarantined = agents.filter(({ status }) => status === 'quarantined').map(({ id }) => id)
  const isUp = phase === 'running'
  const late = isUp ? agents.filter(({ status, wasUp }) => !wasUp && isDue(status)).map(({ id }) => id) : []
  return [
    ...(isUp ? [] : [`the team is ${phase}`]),
    ...(isStoreAway ? ['the store does not answer'] : []),
    ...(isInDoubt ? ['nobody has confirmed the leases for too long'] : []),
    ...(unfit === undefined ? [] : [unfit]),
    ...(isSourceUnread ? ['MongoDB cannot be read, its agents are not known yet'] : []),
    ...(zombies === 0 ? [] : [`${zombies} ${zombies === 1 ? 'thread' : 'threads'} cannot be ended: replace this process`]),
    ...parked.map((id) => `team ${id} gave up`),
    ...(quarantined.length === 0 ? [] : [`in quarantine: ${quarantined.join(', ')}`]),
    ...(late.length === 0 ? [] : [`not up yet: ${late.join(', ')}`]),
  ]
}

/** Whether an agent that was never up should be, or is on its way; the rest of these says why it is not, or has been said. */
function isDue(status: string): boolean {
  return !['running', 'standby', 'paused', 'quarantined'].includes(status)
}

/** Whether this process runs nothing because others have all of its agents. */
export function standsBy(agents: readonly { readonly status: string }[]): boolean {
  return agents.length > 0 && agents.every(({ status }) => status === 'standby')
}
