// Through realtime.ts, as only one file beside supabase.ts may know the package.
import type { RealtimeClient } from './realtime.ts'
import type { Scope, Signal } from './realtime-state.ts'

/** Rows whose changes are worth a look at the table; `filter` in Realtime's own notation, `status=eq.pending`. */
export interface WatchedRows {
  readonly table: string
  readonly event: 'INSERT' | 'UPDATE' | 'DELETE' | '*'
  readonly schema?: string
  readonly filter?: string
}

/** A row that was written, as far as it fits into a message. */
export interface Change {
  readonly table: string
  readonly row: Readonly<Record<string, unknown>>
}

type RealtimeChannel = ReturnType<RealtimeClient['channel']>

interface LinkOptions {
  readonly realtime: RealtimeClient
  readonly topic: string
  readonly watch: readonly WatchedRows[]
  readonly token: (() => Promise<string | null>) | undefined
  readonly joinTimeout: number
  readonly onSignal: (signal: Signal) => void
  readonly onChange: (change: Change) => void
  readonly onCloseFailed: (error: unknown) => void
}

interface Link {
  open(): void
  close(scope: Scope): void
  /** Resolves when all that was closed so far is gone. */
  closed(): Promise<void>
}

interface SystemMessage {
  readonly extension?: unknown
  readonly status?: unknown
  readonly message?: unknown
}

/** Holds at most one channel of the client; what comes from a channel that was closed is dropped. */
export function createLink({ realtime, topic, watch, token, joinTimeout, onSignal, onChange, onCloseFailed }: LinkOptions): Link {
  let turn = 0
  let channel: RealtimeChannel | undefined
  let gone: Promise<void> = Promise.resolve()

  async function join(mine: number): Promise<void> {
    const signal = (value: Signal): void => {
      if (mine === turn) onSignal(value)
    }
    try {
      // connect() does nothing while the old socket still closes, and the join would wait for ever in a buffer.
      await gone
      if (token !== undefined) realtime.accessToken = token
      // Without this the join leaves before the first token is there.
      await realtime.setAuth()
      if (mine === turn) channel = subscribe(mine, signal)
    } catch (error) {
      signal({ kind: 'lost', reason: messageOf(error), scope: 'socket' })
    }
  }

  function subscribe(mine: number, signal: (value: Signal) => void): RealtimeChannel {
    pickUp(realtime)
    realtime.onHeartbeat((status) => {
      if (status === 'ok') signal({ kind: 'heard' })
    })
    // A topic of its own for every join: a late leave of the last one cannot close this one on the server.
    const joining = realtime.channel(`${topic}:${mine}`)
    for (const rows of watch) {
      joining.on('postgres_changes', { schema: 'public', ...rows }, ({ table, new: row }: { table: string; new: object }) => {
        if (mine === turn) onChange({ table, row: { ...row } })
        signal({ kind: 'changed' })
      })
    }
    joining.on('system', {}, (message: SystemMessage) => signalOf(message).forEach(signal))
    const scope = (): Scope => (realtime.isConnected() ? 'channel' : 'socket')
    // Twice our own limit: realtime-js would answer its own with a leave whose timer outlives the channel.
    return joining.subscribe((status, error) => {
      if (status === 'SUBSCRIBED') return signal({ kind: 'subscribed' })
      signal({ kind: 'lost', reason: error?.message ?? status, scope: scope() })
    }, joinTimeout * 2)
  }

  async function release(old: RealtimeChannel | undefined, scope: Scope): Promise<void> {
    try {
      if (old !== undefined) await realtime.removeChannel(old)
      if (scope === 'socket' && realtime.getChannels().length === 0) await hangUp(realtime)
    } catch (error) {
      onCloseFailed(error)
    }
  }

  return {
    open() {
      turn += 1
      void join(turn)
    },
    close(scope) {
      turn += 1
      const old = channel
      channel = undefined
      gone = gone.then(() => release(old, scope))
    },
    closed: () => gone,
  }
}

function signalOf({ extension, status, message }: SystemMessage): Signal[] {
  if (status === 'error') return [{ kind: 'lost', reason: String(message), scope: 'channel' }]
  return status === 'ok' && extension === 'postgres_changes' ? [{ kind: 'flowing' }] : []
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What disconnect() leaves behind in realtime-js 2.119; the tests count all of it against the real client. */
interface Innards {
  _cancelPendingDisconnect(): void
  readonly socketAdapter: { getSocket(): PhoenixSocket }
}

interface PhoenixSocket {
  connect(): void
  disconnect(done: () => void): void
  clearHeartbeats(): void
  pendingHeartbeatRef: string | null
  sendBuffer: unknown[]
  readonly reconnectTimer: { reset(): void }
  readonly stateChangeCallbacks: Record<string, unknown[]>
}

function hasInnards(client: object): client is Innards {
  return '_cancelPendingDisconnect' in client && 'socketAdapter' in client
}

/**
 * Closes the client's socket for good.
 *
 * Its own disconnect() leaves a timer of 10 s running, lets an unanswered heartbeat reconnect it half a minute later, keeps
 * the leaves of dead channels for the next socket, and every connect() adds three listeners that nothing removes. And where it has
 * begun to connect again by itself, nothing stops it: it waits for the old socket to close and for its token, and then connects.
 */
async function hangUp(realtime: RealtimeClient): Promise<void> {
  if (!hasInnards(realtime)) {
    await realtime.disconnect()
    return
  }
  const socket = realtime.socketAdapter.getSocket()
  socket.connect = () => {} // until it is picked up
  realtime._cancelPendingDisconnect()
  socket.clearHeartbeats()
  socket.pendingHeartbeatRef = null
  // Called back after 3 s at the latest, also when the other side never answers.
  await new Promise<void>((resolve) => socket.disconnect(resolve))
  socket.reconnectTimer.reset()
  socket.sendBuffer = []
  for (const callbacks of Object.values(socket.stateChangeCallbacks)) callbacks.length = 0
}

/** Lets a client connect again that was hung up. */
function pickUp(realtime: RealtimeClient): void {
  if (hasInnards(realtime)) Reflect.deleteProperty(realtime.socketAdapter.getSocket(), 'connect') // its class has the real one
}
