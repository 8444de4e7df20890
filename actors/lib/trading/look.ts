import type { Book } from '../markets/book.ts'
import type { Broker } from '../markets/broker.ts'
import type { Market } from '../markets/market.ts'
import type { Mark } from '../markets/positions.ts'
import type { MarketSource } from '../markets/source.ts'
import { dollars } from '../markets/units.ts'
import { allRows } from './all-rows.ts'
import { openBroker } from './brokers.ts'
import {
  type Colleague,
  type Execution,
  isMine,
  keeperOf,
  openTrades,
  orderIn,
  partlyOpen,
  positionOf,
  readExecutions,
  siblingsOf,
} from './execution.ts'
import { judge } from './exits.ts'
import { openSource } from './market-source.ts'
import { newestOpinions } from './opinions.ts'
import { recordOutcome } from './order.ts'
import { sellAll, settle, type Venue } from './sale.ts'
import type { TraderCtx, TraderState } from './trader-args.ts'

// A job that was begun so long ago is not being worked on any more.
const abandonedAfter = 600_000
// What one look sells at most: each sale is a few calls of the store.
const mostSales = 50
// Ms that markets which cannot be read may take of one look.
const patience = 60_000
// An address must not get too long for the servers on its way.
const setsAtOnce = 100

/** What a look has found so far. */
interface Tally {
  readonly watches: Record<string, TraderState['watches'][string]>
  readonly marks: Record<string, TraderState['marks'][string]>
  sales: number
}

/** What this trader looks after at one source, and all that is held. */
interface Watched {
  readonly executions: readonly Execution[]
  readonly held: readonly Execution[]
}

/** Looks once at every open trade of this trader: settles what is decided, sells what is to be given up, marks the rest. */
export async function lookAtAll(ctx: TraderCtx): Promise<void> {
  const found = readExecutions(await allRows('trade_executions', openTrades, ctx))
  const open = found.toSorted((one, other) => one.created_at - other.created_at)
  const traders = open.length === 0 ? [] : ((await ctx.db.read('v_agent_dashboard', { agent_type: 'trader' })) as unknown as Colleague[])
  const held = [...open, ...(await decidedLegs(open, ctx))]
  const mine = open.filter((execution) => isMine(keeperOf(execution, held), ctx.self, traders))
  const tally: Tally = { watches: {}, marks: {}, sales: 0 }
  for (const [source, executions] of Map.groupBy(mine, ({ details }) => details.source)) {
    await lookAtSource(source, { executions, held }, tally, ctx).catch((error: Error) => {
      ctx.signal.throwIfAborted()
      // No news is no reason to do anything: what was known stays.
      for (const { id } of executions) keep(id, tally, ctx)
      ctx.log.warn(`Open trades at ${source} cannot be looked at: ${error.message}`)
    })
  }
  ctx.state = { watches: tally.watches, marks: tally.marks }
}

/** Of an event one outcome may be decided long before the others: its leg has ended, and its set is whole all the same. */
async function decidedLegs(open: readonly Execution[], ctx: TraderCtx): Promise<readonly Execution[]> {
  const sets = partlyOpen(open)
  const rows: unknown[] = []
  for (let at = 0; at < sets.length; at += setsAtOnce) {
    const filter = { opportunity_id: { in: sets.slice(at, at + setsAtOnce) }, status: 'settled', exit_reason: 'resolved' }
    rows.push(...(await allRows('trade_executions', filter, ctx)))
  }
  return readExecutions(rows)
}

function keep(id: string, { watches, marks }: Tally, { state }: TraderCtx): void {
  const [before, last] = [state.watches[id], state.marks[id]]
  if (before) watches[id] = before
  if (last) marks[id] = last
}

async function lookAtSource(name: string, { executions, held }: Watched, tally: Tally, ctx: TraderCtx): Promise<void> {
  const opened = await openSource(name, { http: ctx.http, signal: ctx.signal, clock: ctx.now })
  const { source } = opened
  const markets = await marketsOf(executions, source, ctx)
  const tokens = executions.filter(({ status }) => status === 'executed').map((one) => orderIn(one).token)
  const books = tokens.length === 0 ? new Map<string, Book>() : await source.books([...new Set(tokens)], { signal: ctx.signal })
  const opinions = await newestOpinions(executions, ctx)
  const lookAt = async (execution: Execution): Promise<void> => {
    const brokerOf = () => openBroker(execution.details.broker, ctx.self, opened, ctx.args)
    if (execution.status === 'pending') return await clearUp(execution, brokerOf, ctx)
    const siblings = siblingsOf(execution, held)
    const seen = { market: markets.get(execution.market_id), book: books.get(orderIn(execution).token), siblings }
    const opinion = { probability: opinions(execution), watch: ctx.state.watches[execution.id] ?? { looks: 0 } }
    const verdict = judge(execution, { ...seen, ...opinion, now: source.now(), wallNow: ctx.now() }, ctx.args.exits)
    await act(execution, verdict, () => ({ broker: brokerOf(), source }), tally, ctx)
  }
  for (const execution of executions) {
    await lookAt(execution).catch((error: Error) => {
      ctx.signal.throwIfAborted()
      keep(execution.id, tally, ctx)
      ctx.log.warn(`The open trade in market ${execution.market_id} cannot be looked at: ${error.message}`, { execution: execution.id })
    })
  }
}

/** The markets of these trades. One that cannot be read is missing, and keeps nobody from looking at the others. */
async function marketsOf(executions: readonly Execution[], source: MarketSource, ctx: TraderCtx): Promise<ReadonlyMap<string, Market>> {
  const markets = new Map<string, Market>()
  let lost = 0
  for (const id of new Set(executions.map((one) => one.market_id))) {
    const began = ctx.now()
    try {
      const market = await source.market(id, { signal: ctx.signal })
      if (market) markets.set(id, market)
    } catch (error) {
      ctx.signal.throwIfAborted()
      lost += ctx.now() - began
      // Then it is the source, not a market.
      if (lost > patience) throw error
      ctx.log.warn(`Market ${id} cannot be looked at: ${(error as Error).message}`)
    }
  }
  return markets
}

/** Finds out what became of a trade that nobody brought to its end. */
async function clearUp(execution: Execution, brokerOf: () => Broker, ctx: TraderCtx): Promise<void> {
  const { id, stage, created_at } = execution
  if (stage !== 'unknown' && ctx.now() - created_at < abandonedAfter) return
  // Nothing was sent before it was written that it would be.
  if (stage === 'reserved') return ctx.db.write('release_execution', { id, reason: 'nobody went on with it', stage })
  const outcome = await brokerOf().reconcile(orderIn(execution), { signal: ctx.signal })
  if (outcome.kind !== 'unknown') recordOutcome(execution, outcome, ctx)
}

async function act(
  execution: Execution,
  verdict: ReturnType<typeof judge>,
  venueOf: () => Venue,
  tally: Tally,
  ctx: TraderCtx,
): Promise<void> {
  switch (verdict.kind) {
    case 'settle':
      return book(execution, verdict.settled, verdict.reason, ctx)
    case 'hold':
      note(execution, verdict.mark, tally, ctx)
      if (verdict.watch && verdict.watch.looks > 0) tally.watches[execution.id] = verdict.watch
      return
    case 'sell': {
      const before = ctx.state.watches[execution.id]
      const isTime = tally.sales < mostSales
      if (isTime) tally.sales += 1
      const settled = isTime ? await sellAll(execution, positionOf(execution), 'exit', venueOf(), ctx) : undefined
      if (settled) return book(execution, settled, verdict.reason, ctx)
      note(execution, verdict.mark, tally, ctx)
      // It has lasted long enough already: the next look may sell at once.
      tally.watches[execution.id] = before ?? { reason: verdict.reason, looks: ctx.args.exits.looks }
    }
  }
}

function note({ id }: Execution, seen: Mark | undefined, tally: Tally, ctx: TraderCtx): void {
  const last = ctx.state.marks[id]
  if (seen) tally.marks[id] = { value: dollars(seen.value), pnl: dollars(seen.pnl), at: ctx.now() }
  else if (last) tally.marks[id] = last
}

function book(execution: Execution, settled: Parameters<typeof settle>[1], reason: string, ctx: TraderCtx): void {
  settle(execution, settled, reason, ctx)
  const { market_id: market, side, id, details } = execution
  const sign = settled.pnl < 0 ? '-' : '+'
  ctx.log.info(`${details.broker}: closed ${side} in market ${market}, ${reason}, ${sign}$${Math.abs(dollars(settled.pnl)).toFixed(2)}`, {
    execution: id,
  })
}
