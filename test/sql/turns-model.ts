/** What happens to mailboxes, told in plain TypeScript: no locks, no indexes, one thing after the other. */

export const agents = ['a', 'b', 'c'] as const
export type Agent = (typeof agents)[number]
export type Node = 'n1' | 'n2'

export type Message = {
  id: string
  from: string
  to: string | null
  isExpress: boolean
  delay?: number | undefined
  expiresIn?: number | undefined
}
export type Delivery = {
  id: string
  agent: string
  from: string
  seq: number
  rank: number
  status: 'scheduled' | 'ready' | 'done' | 'dead' | 'dropped'
  token: number | null
  startedToken: number | null
  attempts: number
  interruptions: number
  due: number
  retryAt: number
  expires: number
  isUnknown: boolean
}
type Lease = { token: number; node: Node | null; until: number }
export type Commit = {
  agent: Agent
  token: number
  id: string
  attempts: number
  /** `back`: a retry that takes back what `started` has counted. */
  outcome: 'done' | 'retry' | 'dead' | 'started' | 'back'
  version?: number | undefined
  tells: Message[]
  stamps: Partial<Record<string, number>>
}

export const leaseMs = 15_000
export const patience = 86_400_000

export function createModel() {
  let now = 0
  let seq = 0
  const leases = new Map<string, Lease>()
  const rows = new Map<string, Delivery>()
  const told = new Map<string, { expires: number }>()
  const versions = new Map<string, number>()
  const of = (agent: string, status: Delivery['status']) =>
    [...rows.values()].filter((row) => row.agent === agent && row.status === status).sort((one, other) => one.seq - other.seq)
  const waiting = (agent: string) => of(agent, 'ready').filter((row) => row.token === null)

  function insert(message: Message, stamps: Commit['stamps']): void {
    const expires = message.expiresIn === undefined ? Number.POSITIVE_INFINITY : now + message.expiresIn
    told.set(message.id, { expires })
    const receivers = message.to === null ? [...leases.keys()].filter((agent) => agent !== message.from).sort() : [message.to]
    for (const agent of receivers) {
      const lease = leases.get(agent)
      const isStamped = lease !== undefined && message.delay === undefined && stamps[agent] === lease.token && waiting(agent).length === 0
      rows.set(`${message.id} ${agent}`, {
        id: message.id,
        agent,
        from: message.from,
        seq: ++seq,
        rank: message.isExpress ? 0 : 1,
        status: message.delay === undefined ? 'ready' : 'scheduled',
        token: isStamped ? (lease?.token ?? null) : null,
        startedToken: null,
        attempts: 0,
        interruptions: 0,
        due: now + (message.delay ?? 0),
        retryAt: 0,
        expires: lease || expires < Number.POSITIVE_INFINITY ? expires : now + patience,
        isUnknown: !lease,
      })
    }
  }

  function interrupt(agent: string, lease: Lease): void {
    const own = of(agent, 'ready').filter((row) => row.token === lease.token)
    const isHeld = (row: Delivery) =>
      own.some((first) => first.rank === row.rank && first.from === row.from && first.seq <= row.seq && first.retryAt > lease.until)
    const isStarted = (row: Delivery) => row.startedToken === lease.token
    const suspects = own.some(isStarted) ? own.filter(isStarted) : own.filter((row) => !isHeld(row))
    const [head] = suspects.sort((one, other) => one.rank - other.rank || one.seq - other.seq)
    if (!head) return
    head.interruptions += 1
    if (head.interruptions >= 10) head.status = 'dead'
  }

  return {
    rows,
    versions,
    pass: (ms: number) => {
      now += ms
    },
    now: () => now,
    token: (agent: string) => leases.get(agent)?.token,

    take(node: Node, agent: Agent): { verdict: 'ok' | 'busy'; token?: number; unclean?: boolean } {
      const lease = leases.get(agent)
      if (lease && lease.node !== null && lease.node !== node && lease.until > now) return { verdict: 'busy' }
      const isUnclean = lease !== undefined && lease.node !== null && lease.node !== node
      const own = of(agent, 'ready')
      if (lease && isUnclean) interrupt(agent, lease)
      for (const row of own) {
        if (row.token !== null && row.startedToken === row.token) row.attempts -= 1
        row.token = row.startedToken = null
      }
      for (const row of [...of(agent, 'ready'), ...of(agent, 'scheduled')]) {
        if (row.isUnknown) row.expires = told.get(row.id)?.expires ?? 0
        row.isUnknown = false
      }
      const token = (lease?.token ?? 0) + 1
      leases.set(agent, { token, node, until: now + leaseMs })
      return { verdict: 'ok', token, unclean: isUnclean }
    },

    hold(node: Node, agent: Agent, token: number): 'ok' | 'stale' {
      const lease = leases.get(agent)
      if (lease?.token !== token || lease.node !== node) return 'stale'
      lease.until = now + leaseMs
      return 'ok'
    },

    release(node: Node, agent: Agent, token: number): 'ok' | 'repeat' | 'stale' {
      const lease = leases.get(agent)
      if (lease?.token !== token || (lease.node !== node && lease.node !== null)) return 'stale'
      if (lease.node === null) return 'repeat'
      lease.node = null
      return 'ok'
    },

    send: insert,

    poll(agent: Agent, token: number, limit: number): { verdict: 'ok' | 'stale'; ids: string[] } {
      if (leases.get(agent)?.token !== token) return { verdict: 'stale', ids: [] }
      for (const row of of(agent, 'scheduled').sort((one, other) => one.due - other.due || one.seq - other.seq)) {
        if (row.due <= now) Object.assign(row, { status: 'ready', seq: ++seq })
      }
      const express = waiting(agent).filter((row) => row.rank === 0)
      const ordinary = waiting(agent).filter((row) => row.rank === 1)
      const first = express.slice(0, Math.min(limit, Math.max(1, limit - Math.floor(limit / 4))))
      const taken = [...first, ...ordinary.slice(0, limit - first.length)]
      for (const row of taken) Object.assign(row, { token, status: row.expires <= now ? 'dead' : 'ready' })
      return { verdict: 'ok', ids: taken.filter((row) => row.status === 'ready').map((row) => row.id) }
    },

    commit(turn: Commit): string {
      const row = rows.get(`${turn.id} ${turn.agent}`)
      const after = turn.attempts + { done: 0, retry: 1, dead: 1, started: 1, back: -1 }[turn.outcome]
      const status = turn.outcome === 'done' || turn.outcome === 'dead' ? turn.outcome : 'ready'
      if (leases.get(turn.agent)?.token !== turn.token) return 'lease'
      if (row?.status !== 'ready' || row.token !== turn.token || row.attempts !== turn.attempts) {
        return row?.status === status && row.token === turn.token && row.attempts === after ? 'repeat' : 'delivery'
      }
      if (turn.outcome === 'done' && turn.version !== undefined && turn.version !== (versions.get(turn.agent) ?? 0)) return 'state'
      Object.assign(row, {
        status,
        attempts: after,
        startedToken: turn.outcome === 'started' ? turn.token : null,
        retryAt: turn.outcome === 'retry' || turn.outcome === 'back' ? now + 5_000 : 0,
      })
      if (turn.outcome !== 'done') return 'ok'
      if (turn.version !== undefined) versions.set(turn.agent, turn.version + 1)
      for (const message of turn.tells) insert(message, turn.stamps)
      return 'ok'
    },

    replay(id: string, agent: string): 'ok' | 'stale' | 'not_found' {
      const row = rows.get(`${id} ${agent}`)
      if (!row) return 'not_found'
      if (row.status !== 'dead' && row.status !== 'dropped') return 'stale'
      const isUnknown = !leases.has(agent)
      const expires = isUnknown ? now + patience : Number.POSITIVE_INFINITY
      Object.assign(row, { status: 'ready', token: null, attempts: 0, interruptions: 0, retryAt: 0, seq: ++seq, isUnknown, expires })
      return 'ok'
    },

    drop(id: string, agent: string): 'ok' | 'repeat' | 'stale' | 'not_found' {
      const row = rows.get(`${id} ${agent}`)
      if (!row) return 'not_found'
      if (row.status !== 'dead') return row.status === 'dropped' ? 'repeat' : 'stale'
      row.status = 'dropped'
      return 'ok'
    },

    sweep(): void {
      for (const row of rows.values()) {
        if ((row.status === 'ready' || row.status === 'scheduled') && row.token === null && row.expires <= now) row.status = 'dead'
      }
    },
  }
}
export type Model = ReturnType<typeof createModel>
