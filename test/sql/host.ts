import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import type { Client } from '../postgres-setup.ts'

/** A JSON object of the wire, with the fields that a test gives. */
type Fields = Record<string, unknown>

export type Delivery = { agent_id: string; seq: number; status: string; stamped: boolean; unknown?: true }
export type Told = { id: string; verdict: string; deliveries: Delivery[]; reply?: string; status?: string; code?: string; error?: string }
export type Waiting = {
  id: string
  seq: number
  from_agent: string
  type: string
  body: string
  attempts: number
  interruptions: number
  retry_in_ms: number | null
  expires_in_ms: number | null
}
export type Taken = { agent_id: string; verdict: string; messages: Waiting[]; more?: boolean; next_in_ms?: number | null }
export type Verdict = {
  verdict: string
  reason?: string
  code?: string
  error?: string
  messages?: Told[]
  jobs?: Fields[]
  writes?: unknown[]
}
export type Reply = { id: string; status: string; reply?: string; reason?: string }
export type Committed = { turns: Verdict[]; refills: Taken[]; replies: Reply[] }
export type Held = {
  agent_id: string
  verdict: string
  lease_token: number
  unclean: boolean
  state: { version: number; value: string } | null
  supervision: Fields
  node_id?: string
}
export type Stepped = { key: string; verdict: string; status?: string; result?: unknown; code?: string; error?: string }
export type Turn = Fields & { agent_id: string; lease_token: number }
type Send = { messages: Fields[]; stamps?: Fields }
type Commit = { turns: Turn[]; stamps?: Fields; refills?: Fields[]; awaiting?: string[] }

/** The functions of the schema as the host of a process calls them, over one client. */
export function hostOf(sql: Client, node = 'n1') {
  async function call<Answer>(name: string, batch: unknown): Promise<Answer> {
    const [row] = await sql.unsafe<{ answer: Answer }[]>(`select public.${name}($1::text::jsonb) as answer`, [JSON.stringify(batch)])
    if (!row) throw new Error(`${name} gave no row`)
    return row.answer
  }
  const sync = (agents: Fields[], more: Fields = {}) =>
    call<{ agents: Held[]; jobs: Fields[] }>('sync_node', { node_id: node, agents, ...more }).then((answer) => answer.agents)
  return {
    call,
    sync,
    commit: (batch: Commit) => call<Committed>('commit_turns', batch),
    send: (batch: Send) => call<Told[]>('send_messages', batch),
    take: (...refills: Fields[]) => call<Taken[]>('take_messages', refills),
    steps: (...steps: Fields[]) => call<Stepped[]>('save_steps', steps),
    functions: (...calls: Fields[]) => call<Stepped[]>('call_functions', calls),
    replies: async (...ids: string[]): Promise<Reply[]> => {
      const [row] = await sql<{ answer: Reply[] }[]>`select public.read_replies(${ids}::uuid[]) as answer`
      return row?.answer ?? []
    },
    /** Takes leases of agents and answers their tokens by name. */
    hold: async (...agents: string[]): Promise<Record<string, number>> => {
      const held = await sync(agents.map((agent_id) => ({ agent_id, agent_type: 'test', action: 'take' })))
      return Object.fromEntries(held.map((one) => [one.agent_id, one.lease_token]))
    },
    /** Moves the clock of this client's sessions; the client must have one connection. */
    setClock: (offset: string) => sql`select set_config('troupe.clock_offset', ${offset}, false)`,
  }
}
export type Host = ReturnType<typeof hostOf>

/** A message from one agent to another; without `to` a broadcast. */
export function message(from: string, to: string | null, body: unknown = null, more: Fields = {}): Fields & { id: string } {
  return { id: randomUUID(), from_agent: from, to_agent: to, type: 'note', body: JSON.stringify(body), ...more }
}

/** Returns the one element that a test expects, or fails. */
export function only<Item>(items: readonly Item[]): Item {
  const [item] = items
  if (item === undefined || items.length > 1) throw new Error(`Expected one element, found ${items.length}`)
  return item
}

export type Row = {
  message_id: string
  agent_id: string
  status: string
  attempts: number
  interruptions: number
  dead_reason: string | null
}

/** All deliveries, in the order of the mailboxes. */
export function deliveries(sql: Client): Promise<Row[]> {
  return sql<Row[]>`select message_id, agent_id, status, attempts, interruptions, dead_reason
    from public.agent_deliveries order by agent_id, seq`
}

/** Makes the answers of this database small, so that a test need not fill large ones. */
export async function limitAnswers(sql: Client, bytes: number): Promise<void> {
  await sql.unsafe(`create or replace function troupe.answer_bytes() returns bigint language sql immutable as 'select ${bytes}::bigint'`)
}

/** Repeats a call as it is while PostgreSQL asks for it; says how often it did. */
export async function insist<Answer>(call: () => Promise<Answer>): Promise<{ answer: Answer; repeats: number }> {
  for (let repeats = 0; ; repeats++) {
    try {
      return { answer: await call(), repeats }
    } catch (error) {
      const isTransient = error instanceof postgres.PostgresError && ['40P01', '40001'].includes(error.code)
      if (!isTransient || repeats > 50) throw error
    }
  }
}

/** Opens a transaction in which `calls` have run and which stays open until `end`. */
export async function openTransaction<Answer>(sql: Client, calls: (host: Host) => Promise<Answer>, node?: string) {
  const session = await sql.reserve()
  await session`begin`
  const [row] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`
  const answer = await calls(hostOf(session, node))
  return {
    answer,
    pid: row?.pid ?? 0,
    end: async (how: 'commit' | 'rollback' = 'commit') => {
      await session.unsafe(how)
      session.release()
    },
  }
}

/** Resolves once another session of this database waits for a lock that `pid` holds. */
export async function untilBlockedBy(sql: Client, pid: number): Promise<void> {
  const limit = Date.now() + 25_000
  while (Date.now() < limit) {
    const waiting = await sql`select from pg_stat_activity a
      where a.datname = current_database() and a.wait_event_type = 'Lock' and ${pid} = any (pg_blocking_pids(a.pid))`
    if (waiting.length > 0) return
  }
  throw new Error('Nobody waits for that session')
}
