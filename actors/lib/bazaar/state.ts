import type { Profile } from './job.ts'

/** A specialist that this gateway serves. */
export interface Served {
  readonly profile: Profile
  /** Its id on the marketplace; null until it is registered. */
  readonly serverId: string | null
  /** Why it is not to be registered: its wallet is another one's. */
  readonly refused: string | null
  /** Since when it does not run, in ms since 1970. */
  readonly goneAt: number | null
  /** What the marketplace said no to, for a reason that may pass: how often, and until when it is left alone. */
  readonly waits?: { readonly times: number; readonly until: number }
}

/** A bid that may still be won. */
export interface OpenBid {
  readonly agent: string
  readonly jobId: string
  /** Null: nobody knows whether it arrived; the job itself will tell. */
  readonly bidId: string | null
  readonly at: number
}

/** A job that was won and is not delivered yet. */
export interface Won {
  /** The assignment: the job and when it was assigned, because a job may be assigned again. */
  readonly key: string
  readonly agent: string
  readonly jobId: string
  /** The row of agent_jobs that does the work. */
  readonly rowId: string
  readonly deadline: number
  /** Attempts to deliver, and when the next may be. */
  readonly tries: number
  readonly nextAt: number
}

export type Ending = 'delivered' | 'lost' | 'failed'

/** An assignment that is over; kept, because the marketplace may go on listing it. */
export interface Ended {
  readonly key: string
  readonly agent: string
  readonly ending: Ending
  readonly reason: string
  readonly seenAt: number
}

export interface State {
  readonly agents: Readonly<Record<string, Served>>
  readonly bids: readonly OpenBid[]
  readonly won: readonly Won[]
  readonly ended: readonly Ended[]
  /** What each agent did not want, by agent and job, with what the job was then. */
  readonly declined: Readonly<Record<string, string>>
  /** When the owner may register again. */
  readonly registerAt: number
  /** Polls in a row that came to nothing, refused bids in a row, and until when each is to wait. */
  readonly away: { readonly times: number; readonly until: number }
  readonly refusals: { readonly times: number; readonly until: number }
}

export const firstState: State = {
  agents: {},
  bids: [],
  won: [],
  ended: [],
  declined: {},
  registerAt: 0,
  away: { times: 0, until: 0 },
  refusals: { times: 0, until: 0 },
}

const endedAtMost = 500

/** Ends an assignment: it is no longer worked on, and never begun again. */
export function end(state: State, { key, agent }: Pick<Won, 'key' | 'agent'>, ending: Ending, reason: string, now: number): State {
  const ended = [...state.ended.filter((one) => one.key !== key), { key, agent, ending, reason: reason.slice(0, 500), seenAt: now }]
  return {
    ...state,
    won: state.won.filter((one) => one.key !== key),
    // Those that the marketplace still listed lately stay longest.
    ended: ended.sort((one, other) => one.seenAt - other.seenAt).slice(-endedAtMost),
  }
}

/** Notes that the marketplace still lists an assignment that is over. */
export function seenAgain(state: State, key: string, now: number): State {
  return { ...state, ended: state.ended.map((one) => (one.key === key ? { ...one, seenAt: now } : one)) }
}

export function withoutBid(state: State, { agent, jobId }: Pick<OpenBid, 'agent' | 'jobId'>): State {
  return { ...state, bids: state.bids.filter((bid) => bid.agent !== agent || bid.jobId !== jobId) }
}

export function withBid(state: State, bid: OpenBid): State {
  return { ...state, bids: [...withoutBid(state, bid).bids, bid] }
}

export function withAgent(state: State, served: Served): State {
  return { ...state, agents: { ...state.agents, [served.profile.agent]: served } }
}

/** Forgets an agent that another gateway serves now, with all that is open for it: the other one finds it on the marketplace. */
export function withoutAgent(state: State, agent: string): State {
  // Who had to stand back for this one may be asked again.
  const others = Object.entries(state.agents).filter(([id]) => id !== agent)
  const agents = Object.fromEntries(others.map(([id, served]) => [id, { ...served, refused: null }]))
  return { ...state, agents, bids: state.bids.filter((bid) => bid.agent !== agent), won: state.won.filter((won) => won.agent !== agent) }
}

/** Waits longer after each failure in a row: from `first` ms doubling to `most`, with a part of chance. */
export function later(times: number, now: number, { first, most, chance }: { first: number; most: number; chance: number }) {
  const wait = Math.min(most, first * 2 ** Math.min(times, 20))
  return { times: times + 1, until: now + wait * (0.8 + 0.4 * chance) }
}
