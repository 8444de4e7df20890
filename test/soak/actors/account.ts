import { randomUUID } from 'node:crypto'
import { appendFileSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { type Context, defineActor } from 'troupe/actor'

/** How money gets from one account to the next. */
export type Way = 'tell' | 'now' | 'ask' | 'job' | 'timer' | 'step' | 'once'

/** An amount on its way from account to account: at hop h, route[h] pays route[h + 1]. */
export type Order = {
  readonly n: number
  readonly hop: number
  readonly amount: number
  readonly route: readonly string[]
  readonly ways: readonly Way[]
}

/** What an account knows: its money, the transfers it paid and got by number, and the receipts of those that had a step. */
export type Book = {
  readonly balance: number
  readonly paid: readonly number[]
  readonly got: readonly number[]
  readonly receipts: Readonly<Record<string, string>>
}

/** A line of the file that stands for the world outside: a step's effect happened, or its result was saved. */
export type Effect = {
  readonly kind: 'ran' | 'saved'
  readonly id: number
  readonly once: boolean
  readonly receipt: string
  readonly pid: number
}

type Args = { readonly effects: string; readonly opening: number }
type Ctx = Context<unknown, Book, string>

/** No more than so many hops in an order: a transfer's number is made of both. */
const hopsAtMost = 1_000

export function numberOf({ n, hop }: Pick<Order, 'n' | 'hop'>): number {
  return n * hopsAtMost + hop
}

/** A number that is the same for the same transfer, so that a repeated turn goes the same way. */
function chanceOf(id: number, salt: number): number {
  return (Math.imul(id ^ (salt * 0x9e3779b1), 0x85ebca6b) >>> 8) / 2 ** 24
}

/** An account may ask one after it only, so that no two wait for each other. */
function mayAsk(from: string, to: string): boolean {
  return from.localeCompare(to, 'en', { numeric: true }) < 0
}

async function receiptOf(id: number, ctx: Ctx, once: boolean): Promise<string> {
  const { effects } = ctx.args as Args
  const write = (kind: Effect['kind'], receipt: string) =>
    appendFileSync(effects, `${JSON.stringify({ kind, id, once, receipt, pid: process.pid } satisfies Effect)}\n`)
  const act = () => {
    const receipt = randomUUID()
    write('ran', receipt)
    return receipt
  }
  const receipt = await ctx.step(`charge ${id}`, act, { once }).catch((error: { code?: string }) => {
    if (error.code !== 'STEP_UNKNOWN') throw error
    // It was begun before, and nobody knows how it ended: the world is asked.
    return known(effects, id) ?? ctx.step(`charge ${id} again`, act)
  })
  write('saved', receipt)
  return receipt
}

function known(effects: string, id: number): string | undefined {
  const lines = readFileSync(effects, 'utf8').split('\n')
  const found = lines.find((line) => line.startsWith(`{"kind":"ran","id":${id},`))
  return found && (JSON.parse(found) as Effect).receipt
}

/** Pays what the order says and hands it on. */
async function pay(order: Order, ctx: Ctx): Promise<void> {
  const id = numberOf(order)
  const to = order.route[order.hop + 1] ?? ''
  const way = wayOf(order, to, ctx)
  ctx.state = { ...ctx.state, balance: ctx.state.balance - order.amount, paid: [...ctx.state.paid, id] }
  if (chanceOf(id, 1) < 0.4) await delay(12 * chanceOf(id, 2))
  if (way === 'step' || way === 'once') {
    const receipt = await receiptOf(id, ctx, way === 'once')
    ctx.state = { ...ctx.state, receipts: { ...ctx.state.receipts, [id]: receipt } }
  }
  if (way === 'ask') await ctx.ask(to, 'credit', { ...order, isAsked: true }, { timeout: 600_000 })
  else if (way === 'now') await ctx.tell(to, 'credit', order, { now: true })
  else if (way === 'job') ctx.jobs.create('credit', order, { dedupeKey: `transfer ${id}`, maxAttempts: 100 })
  else if (way === 'timer') ctx.after(20 * chanceOf(id, 3), 'due', order, { name: `transfer ${id}` })
  else ctx.tell(to, 'credit', order)
  if (chanceOf(id, 4) < 0.05 && ctx.attempt === 1) throw ctx.retry(10, 'by chance')
}

/** What leaves at once is keyed by its agent, and a job may come to another: there only what the commit takes along is used. */
function wayOf({ ways, hop }: Order, to: string, { self, from }: Ctx): Way {
  const way = ways[hop] ?? 'tell'
  const isUnsafe = (way === 'ask' && !mayAsk(self, to)) || (from === null && (way === 'ask' || way === 'now'))
  return isUnsafe ? 'tell' : way
}

/** Who was asked answers first: nobody is to wait for the rest of the way. */
async function credit({ isAsked = false, ...order }: Order & { readonly isAsked?: boolean }, ctx: Ctx): Promise<void> {
  ctx.state = { ...ctx.state, balance: ctx.state.balance + order.amount, got: [...ctx.state.got, numberOf(order)] }
  if (order.hop + 1 === order.ways.length) return
  const next = { ...order, hop: order.hop + 1 }
  if (isAsked) ctx.tell(ctx.self, 'pay', next)
  else await pay(next, ctx)
}

/** Ways to die, in hand of a message; only the first time, for the message itself is to end well. */
const harms: Readonly<Record<string, () => unknown>> = {
  crash: () => setImmediate(() => throwNow()),
  exit: () => process.exit(7),
  hang() {
    for (;;);
  },
  array() {
    const array: number[] = []
    for (let next = 0; ; next += 1) array.push(next)
  },
  map() {
    const map = new Map<number, number>()
    for (let key = 0; ; key += 1) map.set(key, key)
  },
  strings() {
    const kept: string[] = []
    for (let next = 0; ; next += 1) kept.push(`${next} and some text that makes it longer`.repeat(20))
  },
  huge() {
    const kept: number[][] = []
    for (;;) kept.push(new Array<number>(2 ** 22).fill(kept.length))
  },
  buffers() {
    const kept: Buffer[] = []
    for (;;) kept.push(Buffer.alloc(2 ** 20, 1))
  },
}

function throwNow(): never {
  throw new Error('out of the blue')
}

/** An account of the bank that the kill test runs. */
export default defineActor({
  persist: true,
  messages: { pay: true, credit: true, due: true, harm: true, look: true },
  jobs: { credit: true },
  init: (ctx): Book => ({ balance: (ctx.args as Args).opening, paid: [], got: [], receipts: {} }),
  receive: {
    pay: (order, ctx) => pay(order as Order, ctx),
    credit: (order, ctx) => credit(order as Order, ctx),
    due(order, ctx) {
      const { route, hop } = order as Order
      ctx.tell(route[hop + 1] ?? '', 'credit', order)
    },
    async harm(how, ctx) {
      // Its own turn ends well; who dies is whoever has the thread then.
      if (how === 'later') return void setTimeout(() => process.exit(7), 3)
      if (ctx.attempt > 1) return
      harms[how as string]?.()
      await new Promise(() => {})
    },
    look: (_, { state }) => ({ balance: state.balance }),
  },
  run: {
    async credit(order, ctx) {
      await credit(order as Order, ctx)
      return { by: ctx.self, id: numberOf(order as Order) }
    },
  },
})
