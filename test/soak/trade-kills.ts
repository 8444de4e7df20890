import { setTimeout as delay } from 'node:timers/promises'
import { chanceOf } from './bank.ts'
import type { Query, Row } from './ground.ts'
import { type Line, type Process, startProcess } from './process.ts'
import { opportunities } from './trade-feed.ts'
import { openTradeGround, type TradeGround, traders } from './trade-ground.ts'

/** What became of a run of trades; it is good when nothing is violated. */
export type TradeReport = {
  readonly seed: number
  readonly executions: number
  readonly pnl: number
  readonly kills: readonly string[]
  readonly violations: readonly string[]
  readonly seconds: number
}

export type TradeRun = {
  readonly seed: number
  readonly kills: number
  /** How many opportunities there are. */
  readonly most?: number
  /** What an undisturbed run of the same came to, on whichever store; without it there is one first. */
  readonly calm?: Facts
  /** Makes a database with the schema for one run; without it the embedded store is used. */
  readonly database?: () => Promise<AsyncDisposable & { readonly url: string }>
  readonly say?: (line: string) => void
}

export type Facts = { readonly trades: readonly Row[]; readonly profit: number; readonly jobs: readonly Row[]; readonly open: number }

/** Trades the same opportunities twice, once undisturbed and once with kills, and compares every trade. */
export async function runTradeKills(run: TradeRun): Promise<TradeReport> {
  const { seed, kills, say = () => {} } = run
  const began = performance.now()
  const calm = run.calm ?? (await tradeCalmly(run))
  say(`undisturbed: ${calm.trades.length} executions, profit ${calm.profit}`)
  const { facts, kills: done } = await trade(run, { kills, seed, total: 2 * calm.trades.length, say, open: calm.open })
  const violations = [...differences(calm, facts), ...doubles(facts)]
  const seconds = Math.round((performance.now() - began) / 1_000)
  return { seed, executions: facts.trades.length, pnl: facts.profit, kills: done, violations, seconds }
}

/** Trades everything without a kill. */
export async function tradeCalmly(run: Omit<TradeRun, 'kills'>): Promise<Facts> {
  const { facts } = await trade(run, { kills: 0, seed: run.seed, total: 0, say: () => {} })
  return facts
}

async function trade({ seed, most = 110, database }: Omit<TradeRun, 'kills'>, plan: Plan) {
  const given = (await opportunities(seed)).slice(0, most)
  return await inGround(seed, database, (ground) => tradeAll(ground, given, plan))
}

async function inGround<Result>(
  seed: number,
  database: TradeRun['database'],
  use: (ground: TradeGround) => Promise<Result>,
): Promise<Result> {
  await using made = await database?.()
  await using ground = await openTradeGround(seed, made?.url)
  return await use(ground)
}

type Plan = { readonly kills: number; readonly seed: number; readonly total: number; readonly open?: number; say(line: string): void }

async function tradeAll(ground: TradeGround, given: readonly object[], { kills, seed, total, open, say }: Plan) {
  await ground.alone(({ publish }) => publish(given))
  const chance = chanceOf(seed)
  const done: string[] = []
  while (done.length < kills) {
    await using process = startProcess(ground)
    // Spread over the whole run, so that every kind of moment is met: reserved, ordered, filled, sold.
    const goal = (total * (done.length + chance.next())) / kills
    const reached = await reach(ground.query, process, goal)
    await delay(chance.between(0, 40))
    process.kill('SIGKILL')
    done.push(`at ${reached} of ${total} (${await process.exited})`)
    say(`kill ${done.length}: ${done.at(-1)}`)
  }
  await rest(ground, open)
  return { kills: done, facts: await ground.alone(({ query }) => readFacts(query)) }
}

const isUp = ({ event, agent }: Line) => event === 'child:started' && agent === `trader-${traders}`

/** Waits until so much was bought and sold, or a little longer than it takes to come up. */
async function reach(query: Query, process: Process, goal: number): Promise<number> {
  await process.line('traders', isUp)
  const until = performance.now() + 8_000
  for (let reached = 0; ; await delay(25)) {
    reached = Math.max(reached, await progress(query).catch(() => 0))
    if (reached >= goal || performance.now() > until) return reached
  }
}

async function progress(query: Query): Promise<number> {
  const [row] = await query(
    `select coalesce(sum(case status when 'pending' then 0 when 'executed' then 1 else 2 end), 0)::int as sum from trade_executions`,
  )
  return Number(row?.sum ?? 0)
}

/** Lets the traders come to rest: no job is left, nothing is half done, and no more is sold. */
async function rest(ground: TradeGround, open: number | undefined): Promise<void> {
  await using process = startProcess(ground)
  await process.line('traders', isUp)
  const until = performance.now() + 120_000
  const busy = `select (select count(*) from agent_jobs where status not in ('completed', 'failed'))::int as jobs,
    (select count(*) from trade_executions where status = 'pending')::int as pending,
    (select count(*) from trade_executions where status = 'executed')::int as held`
  for (let calm = 0, last = Number.NaN; calm < (open === undefined ? 15 : 3); await delay(200)) {
    if (performance.now() > until) throw new Error(`The traders do not come to rest:\n${process.tail()}`)
    const [row] = await ground.query(busy).catch(() => [])
    const held = Number(row?.held)
    const isDone = row?.jobs === 0 && row.pending === 0 && (open === undefined ? held === last : held === open)
    calm = isDone ? calm + 1 : 0
    last = held
  }
  process.kill('SIGTERM')
  const code = await process.exited
  if (code !== 0) throw new Error(`The traders ended with ${code}:\n${process.tail()}`)
}

async function readFacts(query: Query): Promise<Facts> {
  const trades = await query(`select market_id, side, status, stage, amount::text, shares::text, fees::text, entry_price::text,
    exit_price::text, pnl::text, exit_reason from trade_executions order by market_id, side, status`)
  const jobs = await query(`select status, count(*)::int as count from agent_jobs group by 1 order by 1`)
  const [sums] = await query(`select coalesce((select sum(total_profit) from agent_status), 0)::text as profit,
    (select count(*) from trade_executions where status = 'executed')::int as open`)
  return { trades, jobs, profit: Number(sums?.profit), open: Number(sums?.open) }
}

/** What is not as it was without kills. */
function differences(calm: Facts, wild: Facts): string[] {
  const lines = ({ trades }: Facts) => trades.map((trade) => Object.values(trade).join(' '))
  const [expected, found] = [new Set(lines(calm)), new Set(lines(wild))]
  return [
    ...[...expected].filter((line) => !found.has(line)).map((line) => `missing: ${line}`),
    ...[...found].filter((line) => !expected.has(line)).map((line) => `not expected: ${line}`),
    ...(JSON.stringify(calm.jobs) === JSON.stringify(wild.jobs) ? [] : [`jobs: ${JSON.stringify(wild.jobs)}`]),
    ...(Math.abs(calm.profit - wild.profit) < 1e-9 ? [] : [`profit ${wild.profit} instead of ${calm.profit}`]),
  ]
}

function doubles({ trades }: Facts): string[] {
  const bought = trades.filter(({ status }) => status !== 'failed').map(({ market_id, side }) => `${market_id} ${side}`)
  return [...Map.groupBy(bought, (one) => one)].filter(([, all]) => all.length > 1).map(([one]) => `bought twice: ${one}`)
}
