import { EventEmitter } from 'node:events'
import { type ServerSocket, serveWebSockets } from './websocket-server.ts'

/**
 * A Realtime server as supabase-js meets it: Phoenix channels, protocol 2.0.0, over a real socket.
 *
 * The answers follow supabase/realtime's realtime_channel.ex; what it does on a bad day is set in `faults` or commanded.
 */
export interface RealtimeDouble extends AsyncDisposable {
  /** For createClient. */
  readonly url: string
  readonly faults: Faults
  readonly events: EventEmitter<DoubleEvents>
  /** Everything asked of the server so far. */
  readonly seen: { upgrades: number; joins: Join[]; leaves: number }
  sockets(): number
  channels(): number
  /** A row was written: announces it, once per copy, on the channels whose changes flow. */
  announce(row: { table: string; record: Record<string, unknown> }, copies?: number): void
  /** Lets the changes of all channels flow, for `flow: 'held'`. */
  release(): void
  cut(): void
  /** The sockets open now stay open and answer nothing more. */
  freeze(): void
  /** The channels' processes crash. */
  crash(): void
  /** The server ends the channels by itself, as at the expiry of their token. */
  shutDown(message: string): void
}

export interface Faults {
  upgrade: 'accept' | 404 | 503 | 'no answer'
  join: 'ok' | 'no answer' | 'error' | 'mismatch'
  flow: 'at once' | 'held' | 'error'
  isTokenGood: (token: unknown) => boolean
}

export interface Join {
  readonly topic: string
  readonly token: unknown
  readonly watched: readonly Binding[]
}

export interface DoubleEvents {
  upgrade: [URL]
  join: [Join]
  leave: [string]
  heartbeat: []
  closed: []
}

interface Binding {
  readonly id: number
  readonly event: string
  readonly schema: string
  readonly table: string
  readonly filter?: string
}

interface Channel {
  readonly socket: ServerSocket
  readonly topic: string
  readonly joinRef: string
  readonly bindings: readonly Binding[]
  flows: boolean
}

type Frame = [joinRef: string | null, ref: string | null, topic: string, event: string, payload: Record<string, unknown>]

/** Starts a Realtime server on a free port. */
export async function createRealtimeDouble(): Promise<RealtimeDouble> {
  const events = new EventEmitter<DoubleEvents>()
  const faults: Faults = { upgrade: 'accept', join: 'ok', flow: 'at once', isTokenGood: () => true }
  const seen: RealtimeDouble['seen'] = { upgrades: 0, joins: [], leaves: 0 }
  const sockets = new Set<ServerSocket>()
  const frozen = new WeakSet<ServerSocket>()
  let channels: Channel[] = []

  const server = await serveWebSockets({
    answer(url) {
      seen.upgrades += 1
      events.emit('upgrade', url)
      if (faults.upgrade === 'no answer') return undefined
      return faults.upgrade === 'accept' ? 101 : faults.upgrade
    },
    isAlive: (socket) => !frozen.has(socket),
    onOpen: (socket) => void sockets.add(socket),
    onText: (socket, text) => receive(socket, JSON.parse(text) as Frame),
    onClose(socket) {
      sockets.delete(socket)
      channels = channels.filter((channel) => channel.socket !== socket)
      events.emit('closed')
    },
  })

  function receive(socket: ServerSocket, [joinRef, ref, topic, event, payload]: Frame): void {
    const reply = (status: 'ok' | 'error', response: object) => send(socket, [joinRef, ref, topic, 'phx_reply', { status, response }])
    switch (event) {
      case 'heartbeat':
        reply('ok', {})
        events.emit('heartbeat')
        break
      case 'phx_join':
        join({ socket, topic, joinRef: joinRef ?? '' }, payload, reply)
        break
      case 'phx_leave':
        seen.leaves += 1
        channels = channels.filter((channel) => channel.socket !== socket || channel.topic !== topic)
        reply('ok', {})
        send(socket, [joinRef, joinRef, topic, 'phx_close', {}])
        events.emit('leave', topic)
        break
      case 'access_token':
        if (!faults.isTokenGood(payload.access_token)) shutDown('Token has expired 1 seconds ago')
        break
    }
  }

  function join(
    asked: Pick<Channel, 'socket' | 'topic' | 'joinRef'>,
    payload: Frame[4],
    reply: (status: 'ok' | 'error', response: object) => void,
  ): void {
    const { postgres_changes: wanted } = payload.config as { postgres_changes: Omit<Binding, 'id'>[] }
    const bindings = wanted.map((binding, index) => ({ ...binding, id: 1_000 * seen.joins.length + index + 1 }))
    seen.joins.push({ topic: asked.topic, token: payload.access_token, watched: bindings })
    if (!faults.isTokenGood(payload.access_token)) reply('error', { reason: 'InvalidJWTToken: Token has expired 1 seconds ago' })
    else if (faults.join === 'error') reply('error', { reason: 'UnknownErrorOnChannel: Unknown Error on Channel' })
    else if (faults.join !== 'no answer') admit({ ...asked, bindings, flows: false }, reply)
    events.emit('join', seen.joins.at(-1) as Join)
  }

  function admit(channel: Channel, reply: (status: 'ok', response: object) => void): void {
    channels.push(channel)
    reply('ok', { postgres_changes: faults.join === 'mismatch' ? channel.bindings.toReversed() : channel.bindings })
    if (faults.flow === 'at once') flow(channel)
    if (faults.flow === 'error')
      system(channel, { extension: 'postgres_changes', status: 'error', message: 'Unable to subscribe to changes' })
  }

  function flow(channel: Channel): void {
    channel.flows = true
    system(channel, { extension: 'postgres_changes', status: 'ok', message: 'Subscribed to PostgreSQL' })
  }

  function system({ socket, topic, joinRef }: Channel, message: { extension: string; status: string; message: string }): void {
    send(socket, [joinRef, null, topic, 'system', { ...message, channel: topic.replace('realtime:', '') }])
  }

  function shutDown(message: string): void {
    for (const channel of channels.splice(0)) {
      system(channel, { extension: 'system', status: 'error', message })
      send(channel.socket, [channel.joinRef, channel.joinRef, channel.topic, 'phx_close', {}])
    }
  }

  function announce({ table, record }: { table: string; record: Record<string, unknown> }, copies = 1): void {
    const columns = Object.keys(record).map((name) => ({ name, type: 'text' }))
    const commit = { schema: 'public', table, type: 'INSERT', commit_timestamp: new Date().toISOString(), columns, record, errors: null }
    for (const { socket, topic, bindings, flows } of channels) {
      const ids = bindings.filter((bound) => bound.table === table && ['*', 'INSERT'].includes(bound.event)).map(({ id }) => id)
      if (!flows || ids.length === 0) continue
      for (let copy = 0; copy < copies; copy += 1) send(socket, [null, null, topic, 'postgres_changes', { ids, data: commit }])
    }
  }

  function send(socket: ServerSocket, frame: Frame): void {
    if (!frozen.has(socket)) socket.send(JSON.stringify(frame))
  }

  return {
    url: `http://127.0.0.1:${server.port}`,
    faults,
    events,
    seen,
    sockets: () => sockets.size,
    channels: () => channels.length,
    announce,
    release: () => channels.forEach(flow),
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    freeze() {
      for (const socket of sockets) frozen.add(socket)
    },
    crash() {
      for (const { socket, topic, joinRef } of channels.splice(0)) send(socket, [joinRef, joinRef, topic, 'phx_error', {}])
    },
    shutDown,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
