import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { Event } from '../../src/core/events.ts'
import type { ThreadFrame } from '../../src/core/frames.ts'
import { type Child, createChild } from '../../src/host/child.ts'
import { startThread } from '../../src/host/thread.ts'
import { createHttpPool, type HttpPool } from '../../src/services/http.ts'
import { type HttpRights, type HttpSettings, httpDefaults } from '../../src/services/http-policy.ts'
import { agent } from '../host/hosted.ts'

type Outcome = Extract<ThreadFrame, { kind: 'ended' }>['outcome']

/** An actor's thread on a pool. */
export type Client = {
  readonly child: Child
  readonly lines: string[]
  /** Runs one of the actor's handlers and gives its reply; rejects with what it threw. */
  run<Reply = unknown>(type: string, body?: unknown): Promise<Reply>
}

/** A pool with actors' threads on it. */
export type Pool = AsyncDisposable & {
  readonly pool: HttpPool
  readonly events: Event[]
  client(rights?: Partial<HttpRights>): Promise<Client>
}

/** A garbage collection that comes late is not what is tested here. */
const memory = { soft: 2 ** 30, hard: 2 ** 30, poll: 250 }
const file = fileURLToPath(new URL('./actors/client.ts', import.meta.url))

/** Opens a pool; clients may go everywhere unless their rights say otherwise. */
export function openPool(settings: Partial<HttpSettings> = {}): Pool {
  const events: Event[] = []
  const pool = createHttpPool({ settings: { ...httpDefaults, ...settings }, emit: (event) => events.push(event) })
  const children: Child[] = []

  async function client(rights: Partial<HttpRights> = {}): Promise<Client> {
    const lines: string[] = []
    const thread = startThread({ hard: 2 ** 30, zombieAfter: 2_000, log: (text) => lines.push(text), onReaped() {} })
    const spec = agent(`client-${children.length + 1}`, { file, args: '{}', memory })
    const child = createChild(thread, spec, 1)
    children.push(child)
    const http = pool.connect({ team: 'test', id: spec.id, origins: ['*'], concurrency: 1_000, ...rights }, child.exited)
    await child.load({ state: null, sql: [], http })
    const waiting = new Map<number, (outcome: Outcome) => void>()
    child.onFrame((frame) => {
      if (frame.kind === 'ended') waiting.get(frame.turn)?.(frame.outcome)
    })
    let turns = 0
    return {
      child,
      lines,
      async run<Reply>(type: string, body: unknown = null) {
        turns += 1
        const turn = turns
        const ended = new Promise<Outcome>((resolve) => waiting.set(turn, resolve))
        const common = { kind: 'turn', actor: spec.id, turn, source: 'message', from: 'test', attempt: 1, priority: 'normal' } as const
        child.post({ ...common, id: randomUUID(), type, body: JSON.stringify(body) })
        const outcome = await Promise.race([ended, child.exited.then(({ detail }) => Promise.reject(new Error(detail)))])
        if (outcome.kind === 'threw') throw Object.assign(new Error(outcome.error.message), { data: outcome.error })
        return JSON.parse(outcome.reply) as Reply
      },
    }
  }

  return {
    pool,
    events,
    client,
    async [Symbol.asyncDispose]() {
      for (const child of children) child.kill()
      await Promise.all(children.map(({ exited }) => exited))
      await pool.close()
    },
  }
}
