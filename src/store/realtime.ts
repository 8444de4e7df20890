import type { RealtimeClient } from '@supabase/supabase-js'
import { type Change, createLink, type WatchedRows } from './realtime-link.ts'
import { alarmAt, decide, type Effect, type RealtimeEvent, type Signal, type State, type Timing } from './realtime-state.ts'
import { type Clock, createWaker, type OnWake } from './realtime-wake.ts'

export type { RealtimeClient } from '@supabase/supabase-js'
export type { Change, WatchedRows } from './realtime-link.ts'
export type { RealtimeEvent, WakeReason } from './realtime-state.ts'

/** New messages and jobs, jobs that became pending again, and every change of the configuration. */
export const watchedRows: readonly WatchedRows[] = [
  { table: 'agent_messages', event: 'INSERT' },
  { table: 'agent_jobs', event: 'INSERT' },
  { table: 'agent_jobs', event: 'UPDATE', filter: 'status=eq.pending' },
  { table: 'system_config', event: '*' },
]

export interface RealtimeHintOptions extends Partial<Timing> {
  /** A Supabase client, or its `realtime`; best one of its own, as the socket is closed when the hint's channel was its last. */
  readonly client: RealtimeClient | { readonly realtime: RealtimeClient }
  /** Looks at the table; never called again while it runs. */
  readonly onWake: OnWake
  /** Told of each change before the wake-up that it causes. */
  readonly onChange?: (change: Change) => void
  readonly watch?: readonly WatchedRows[]
  readonly topic?: string
  /** A fresh access token; asked before every join and at every heartbeat. Without it the client uses its own. */
  readonly token?: () => Promise<string | null>
  readonly wakeLimit?: number
  /** For people: what follows from it is decided elsewhere. */
  readonly onEvent?: (event: RealtimeEvent) => void
  readonly clock?: Clock
  readonly random?: () => number
}

export interface RealtimeHint extends AsyncDisposable {
  start(): void
  /** Resolves when the channel, its socket and all timers are gone; a wake-up under way is the caller's to finish. */
  stop(): Promise<void>
}

const defaults = {
  watch: watchedRows,
  topic: 'troupe',
  poll: { min: 1_000, max: 5_000, healthy: 30_000 },
  retry: { min: 500, max: 60_000 },
  joinTimeout: 30_000,
  settle: 5_000,
  healthyAfter: 10_000,
  wakeLimit: 60_000,
} as const

/** In heartbeats: after one that is answered late, and before realtime-js gives up at two and reconnects on its own. */
const silentHeartbeats = 1.5

/**
 * Calls `onWake` whenever the table may have something new: at every event, at and after every SUBSCRIBED, and now and
 * then anyway. Realtime only makes it sooner: with none at all, onWake is called every one to five seconds.
 */
export function createRealtimeHint(options: RealtimeHintOptions): RealtimeHint {
  const { client, onWake, onChange = () => {}, onEvent = () => {}, clock = systemClock, random = Math.random, token } = options
  const realtime = 'realtime' in client ? client.realtime : client
  const timing = { ...defaults, silence: realtime.heartbeatIntervalMs * silentHeartbeats, ...options }
  let state: State = { kind: 'stopped' }
  let cancelAlarm = (): void => {}

  const waker = createWaker({
    onWake,
    limit: timing.wakeLimit,
    clock,
    onFailed: (reason, error) => onEvent({ kind: 'realtime:wakeFailed', reason, error }),
  })
  const link = createLink({
    realtime,
    token,
    topic: timing.topic,
    watch: timing.watch,
    joinTimeout: timing.joinTimeout,
    onSignal: receive,
    onChange,
    onCloseFailed: (error) => onEvent({ kind: 'realtime:closeFailed', error }),
  })

  function receive(signal: Signal): void {
    const decision = decide(state, signal, { now: clock.now(), chance: random(), timing })
    state = decision.state
    cancelAlarm()
    const at = alarmAt(state)
    cancelAlarm = at === Infinity ? () => {} : clock.after(Math.max(0, at - clock.now()), () => receive({ kind: 'alarm' }))
    for (const effect of decision.effects) act(effect)
  }

  function act(effect: Effect): void {
    switch (effect.kind) {
      case 'open':
        link.open()
        return
      case 'close':
        link.close(effect.scope)
        return
      case 'wake':
        waker.wake(effect.reason)
        return
      case 'tell':
        onEvent(effect.event)
        return
    }
  }

  async function stop(): Promise<void> {
    receive({ kind: 'stop' })
    waker.stop()
    await link.closed()
  }

  return { start: () => receive({ kind: 'start' }), stop, [Symbol.asyncDispose]: stop }
}

const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    // Node's timers may fire a fraction of a millisecond early.
    const timer = setTimeout(callback, Math.ceil(ms))
    return () => clearTimeout(timer)
  },
}
