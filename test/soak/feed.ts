import { setTimeout as delay } from 'node:timers/promises'
import { uuidOf } from '../../src/worker/keys.ts'
import type { Order } from './actors/account.ts'
import { type Chance, hops, orderOf } from './bank.ts'
import type { Query } from './ground.ts'

/** Orders from outside. They are sent again whenever it is not known that they have arrived, and now and then when it is. */
export type Feed = AsyncDisposable & {
  /** All that were ever sent. */
  readonly orders: readonly Order[]
  readonly transfers: number
  /** Sends no more, once everything has certainly arrived. */
  finish(): Promise<void>
}

export type FeedOptions = {
  readonly query: Query
  readonly seed: number
  readonly chance: Chance
  /** How many orders are to be under way. */
  readonly load?: number
}

const pause = 100
const senders = ['outside', 'branch-1', 'branch-2']

export function startFeed({ query, seed, chance, load = 120 }: FeedOptions): Feed {
  const orders: Order[] = []
  let pending: Order[] = []
  let isFinishing = false
  const stopped = new AbortController()
  const running = run()

  async function run(): Promise<void> {
    while (!stopped.signal.aborted && !(isFinishing && pending.length === 0)) {
      await feed().catch(() => {}) // nobody runs, or is being killed: the same again
      await delay(pause)
    }
  }

  async function feed(): Promise<void> {
    if (!isFinishing && pending.length === 0) pending = next(load - (await openWork(query)))
    if (pending.length === 0) return
    await send(pending)
    if (chance.next() < 0.2) await send(pending)
    pending = []
  }

  function next(count: number): Order[] {
    const fresh = Array.from({ length: Math.max(0, count) }, (_, index) => orderOf(orders.length + index, chance))
    orders.push(...fresh)
    return fresh
  }

  async function send(some: readonly Order[]): Promise<void> {
    const messages = some.map((order) => ({
      id: uuidOf(['soak', String(seed), String(order.n)]),
      from_agent: senders[order.n % senders.length],
      to_agent: order.route[0],
      type: 'pay',
      body: JSON.stringify(order),
    }))
    await query(`select public.send_messages('${JSON.stringify({ messages })}'::jsonb)`)
  }

  async function finish(): Promise<void> {
    isFinishing = true
    await running
  }

  return {
    orders,
    get transfers() {
      return orders.length * hops
    },
    finish,
    async [Symbol.asyncDispose]() {
      stopped.abort()
      await running
    },
  }
}

/** How much is still to be done. */
export async function openWork(query: Query): Promise<number> {
  const [row] = await query(
    `select (select count(*) from agent_deliveries where status in ('ready', 'scheduled'))::int
       + (select count(*) from agent_jobs where status in ('pending', 'assigned', 'in_progress'))::int
       + (select count(*) from agent_timers)::int as open`,
  )
  return Number(row?.open)
}

/** Waits until there is nothing left to do. */
export async function settled(query: Query, limit = 90_000): Promise<void> {
  const until = performance.now() + limit
  let open = Number.NaN
  while (open !== 0) {
    if (performance.now() > until) throw new Error(`${open} things are still to be done after ${limit} ms`)
    open = await openWork(query).catch(() => Number.NaN)
    if (open !== 0) await delay(pause)
  }
}
