/**
 * What the Realtime hint does on a signal: values in, values out.
 *
 * Realtime redelivers nothing and loses changes around every join, so each rule here serves one sentence: whoever
 * only ever looks at the table when woken misses nothing, whatever the socket does.
 */

export type WakeReason = 'subscribed' | 'settled' | 'changed' | 'poll'
/** What is thrown away: only the channel, or the socket under it as well. */
export type Scope = 'channel' | 'socket'

export type RealtimeEvent =
  | { kind: 'realtime:subscribed' }
  | { kind: 'realtime:lost'; reason: string; retryIn: number }
  | { kind: 'realtime:wakeFailed'; reason: WakeReason; error: unknown }
  | { kind: 'realtime:closeFailed'; error: unknown }

/** The outage or recovery that people heard of last, so that a channel that flaps or never comes is one line. */
type Told = 'nothing' | 'subscribed' | 'lost'

/** Times are those of the caller's clock; `Infinity` is a deadline that never comes. */
export type State =
  | { kind: 'stopped' }
  | { kind: 'joining'; attempt: number; told: Told; pollAt: number; giveUpAt: number }
  | { kind: 'subscribed'; attempt: number; told: Told; pollAt: number; since: number; silentAt: number; catchUpAt: number }
  | { kind: 'waiting'; attempt: number; told: Told; pollAt: number; retryAt: number }

export type Signal =
  | { kind: 'start' | 'stop' | 'alarm' }
  /** The channel is joined; changes may still be lost for a few seconds (supabase-js #1599). */
  | { kind: 'subscribed' }
  /** The server says that changes flow from now on. */
  | { kind: 'flowing' }
  | { kind: 'changed' }
  /** A heartbeat was answered. */
  | { kind: 'heard' }
  | { kind: 'lost'; reason: string; scope: Scope }

export type Effect =
  | { kind: 'open' }
  | { kind: 'close'; scope: Scope }
  | { kind: 'wake'; reason: WakeReason }
  | { kind: 'tell'; event: RealtimeEvent }

export interface Timing {
  /** min to max while not subscribed, about `healthy` while subscribed. */
  readonly poll: { readonly min: number; readonly max: number; readonly healthy: number }
  readonly retry: { readonly min: number; readonly max: number }
  /** A join without an answer is given up after this time. */
  readonly joinTimeout: number
  /** A subscribed socket that answers nothing for this long is half-open; more than the heartbeat's interval. */
  readonly silence: number
  /** The second catch-up comes this long after SUBSCRIBED. */
  readonly settle: number
  /** A subscription that lasted this long starts its next backoff anew. */
  readonly healthyAfter: number
}

export interface Moment {
  readonly now: number
  /** In [0, 1): the jitter of this decision. */
  readonly chance: number
  readonly timing: Timing
}

export interface Decision {
  readonly state: State
  readonly effects: readonly Effect[]
}

type Live = Exclude<State, { kind: 'stopped' }>
type Subscribed = Extract<State, { kind: 'subscribed' }>

/** From this many failures in a row on, the socket is taken to be the trouble and is replaced as well. */
const failuresBeforeNewSocket = 3

/** Decides what a signal means in a state; signals that mean nothing there change nothing. */
export function decide(state: State, signal: Signal, moment: Moment): Decision {
  switch (signal.kind) {
    case 'start':
      return state.kind === 'stopped' ? begin(moment) : stay(state)
    case 'stop':
      return state.kind === 'stopped' ? stay(state) : { state: { kind: 'stopped' }, effects: [{ kind: 'close', scope: 'socket' }] }
    case 'subscribed':
      return state.kind === 'joining' || state.kind === 'subscribed' ? subscribed(state, moment) : stay(state)
    case 'flowing':
      return state.kind === 'subscribed' ? settled(state) : stay(state)
    case 'changed':
      return state.kind === 'subscribed' ? { state: heard(state, moment), effects: [wake('changed')] } : stay(state)
    case 'heard':
      return state.kind === 'subscribed' ? stay(heard(state, moment)) : stay(state)
    case 'lost':
      return state.kind === 'joining' || state.kind === 'subscribed' ? lose(state, signal, moment) : stay(state)
    case 'alarm':
      return state.kind === 'stopped' ? stay(state) : onAlarm(state, moment)
  }
}

/** Returns when the next alarm is due. */
export function alarmAt(state: State): number {
  switch (state.kind) {
    case 'stopped':
      return Infinity
    case 'joining':
      return Math.min(state.pollAt, state.giveUpAt)
    case 'subscribed':
      return Math.min(state.pollAt, state.silentAt, state.catchUpAt)
    case 'waiting':
      return Math.min(state.pollAt, state.retryAt)
  }
}

function begin(moment: Moment): Decision {
  return join({ attempt: 0, told: 'nothing', pollAt: moment.now + fastPoll(moment) }, moment)
}

function join({ attempt, told, pollAt }: Pick<Live, 'attempt' | 'told' | 'pollAt'>, { now, timing }: Moment): Decision {
  return { state: { kind: 'joining', attempt, told, pollAt, giveUpAt: now + timing.joinTimeout }, effects: [{ kind: 'open' }] }
}

function subscribed({ attempt, told }: Live, moment: Moment): Decision {
  const { now, timing } = moment
  const deadlines = { pollAt: now + slowPoll(moment), silentAt: now + timing.silence, catchUpAt: now + timing.settle }
  return { state: { kind: 'subscribed', attempt, told, since: now, ...deadlines }, effects: [wake('subscribed')] }
}

// Only now is the subscription announced: a server that joins us and then refuses the changes would flap for ever.
function settled(state: Subscribed): Decision {
  const news: Effect[] = state.told === 'subscribed' ? [] : [{ kind: 'tell', event: { kind: 'realtime:subscribed' } }]
  return { state: { ...state, told: 'subscribed' }, effects: [wake('settled'), ...news] }
}

function heard(state: Subscribed, { now, timing }: Moment): Subscribed {
  return { ...state, silentAt: now + timing.silence }
}

function lose(state: Live, { reason, scope }: { reason: string; scope: Scope }, moment: Moment): Decision {
  const { now, chance, timing } = moment
  const wasHealthy = state.kind === 'subscribed' && now - state.since >= timing.healthyAfter
  const attempt = wasHealthy ? 1 : state.attempt + 1
  const retryIn = Math.min(timing.retry.max, timing.retry.min * 2 ** (attempt - 1)) * (0.5 + chance / 2)
  const pollAt = Math.min(state.pollAt, now + fastPoll(moment))
  const news: Effect[] = state.told === 'lost' ? [] : [{ kind: 'tell', event: { kind: 'realtime:lost', reason, retryIn } }]
  return {
    state: { kind: 'waiting', attempt, told: 'lost', pollAt, retryAt: now + retryIn },
    effects: [{ kind: 'close', scope: attempt >= failuresBeforeNewSocket ? 'socket' : scope }, ...news],
  }
}

function onAlarm(state: Live, moment: Moment): Decision {
  const polled = state.pollAt <= moment.now
  const next = polled ? moment.now + (state.kind === 'subscribed' ? slowPoll(moment) : fastPoll(moment)) : state.pollAt
  const { state: after, effects } = onDeadline({ ...state, pollAt: next }, moment)
  return { state: after, effects: polled ? [wake('poll'), ...effects] : effects }
}

function onDeadline(state: Live, moment: Moment): Decision {
  const { now } = moment
  switch (state.kind) {
    case 'joining':
      return state.giveUpAt <= now ? lose(state, { reason: 'the join was not answered', scope: 'socket' }, moment) : stay(state)
    case 'subscribed':
      if (state.silentAt <= now) return lose(state, { reason: 'the socket fell silent', scope: 'socket' }, moment)
      return state.catchUpAt <= now ? settled({ ...state, catchUpAt: Infinity }) : stay(state)
    case 'waiting':
      return state.retryAt <= now ? join(state, moment) : stay(state)
  }
}

function stay(state: State): Decision {
  return { state, effects: [] }
}

function wake(reason: WakeReason): Effect {
  return { kind: 'wake', reason }
}

function fastPoll({ chance, timing: { poll } }: Moment): number {
  return poll.min + (poll.max - poll.min) * chance
}

function slowPoll({ chance, timing: { poll } }: Moment): number {
  return poll.healthy * (0.75 + chance / 2)
}
