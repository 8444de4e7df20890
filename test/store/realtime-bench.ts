import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { createClient, type RealtimeClientOptions, type SupabaseClient } from '@supabase/supabase-js'
import {
  createRealtimeHint,
  type RealtimeEvent,
  type RealtimeHint,
  type RealtimeHintOptions,
  type WakeReason,
} from '../../src/store/realtime.ts'
import { nextEvent } from '../helpers.ts'
import type { RealtimeDouble } from './realtime-double.ts'

/** A poll so rare that nothing in a test is found by it. */
const noPoll = { min: 60_000, max: 60_000, healthy: 60_000 }
const quick = { poll: noPoll, retry: { min: 5, max: 20 }, joinTimeout: 5_000, silence: 60_000, settle: 60_000, healthyAfter: 0 }

/** A table with a reader that looks for new rows when woken, as an agent's host does. */
export interface Bench extends AsyncDisposable {
  readonly client: SupabaseClient
  readonly hint: RealtimeHint
  readonly seen: EventEmitter<{ wake: [WakeReason]; told: [RealtimeEvent] }>
  readonly wakes: WakeReason[]
  readonly told: RealtimeEvent[]
  readonly handled: number[]
  /** Writes a row and lets Realtime announce it. */
  write(id: number, copies?: number): void
}

type BenchOptions = Partial<RealtimeHintOptions> & { realtime?: RealtimeClientOptions; look?: () => Promise<void> | void }

/** A hint over the real client, with times so small or so long that only what a test asks for happens. */
export function openBench(double: RealtimeDouble, { realtime, look, ...options }: BenchOptions = {}): Bench {
  const client = createClient(double.url, 'a-service-key', {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { heartbeatIntervalMs: 60_000, reconnectAfterMs: () => 10, ...realtime },
  })
  const bench = {
    seen: new EventEmitter<{ wake: [WakeReason]; told: [RealtimeEvent] }>(),
    wakes: [] as WakeReason[],
    told: [] as RealtimeEvent[],
  }
  const rows: number[] = []
  const handled: number[] = []
  const hint = createRealtimeHint({
    client,
    ...quick,
    onWake(reason) {
      handled.push(...rows.filter((row) => !handled.includes(row)))
      bench.wakes.push(reason)
      bench.seen.emit('wake', reason)
      return look?.()
    },
    onEvent(event) {
      bench.told.push(event)
      bench.seen.emit('told', event)
    },
    ...options,
  })
  const write = (id: number, copies = 1): void => {
    rows.push(id)
    double.announce({ table: 'agent_messages', record: { id: String(id) } }, copies)
  }
  return { ...bench, client, hint, handled, write, [Symbol.asyncDispose]: () => hint.stop() }
}

export const woken = (bench: Bench, reason: WakeReason) => nextEvent(bench.seen, 'wake', { filter: (seen) => seen === reason })

/** Starts the hint and waits until changes flow. */
export async function subscribe(bench: Bench): Promise<void> {
  const settled = woken(bench, 'settled')
  bench.hint.start()
  await settled
}

/** Waits for the check to pass. Without timers of its own, so that the check may count them. */
export async function eventually(check: () => void, { timeout = 5_000 } = {}): Promise<void> {
  const deadline = performance.now() + timeout
  for (;;) {
    try {
      return check()
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await setImmediate()
  }
}
