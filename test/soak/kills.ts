import { setTimeout as delay } from 'node:timers/promises'
import { audit } from './audit.ts'
import { type Chance, chanceOf } from './bank.ts'
import { settled, startFeed } from './feed.ts'
import type { Ground, Query } from './ground.ts'
import { type Line, type Process, startProcess } from './process.ts'

/** What became of a run; it is good when nothing is violated. */
export type Report = {
  readonly seed: number
  readonly transfers: number
  readonly violations: readonly string[]
  readonly kills: readonly string[]
  readonly seconds: number
}

/** How many orders are under way at a time, and how much a life gets done before its end, in turns and ms. */
export type Pace = { readonly load: number; readonly work: number; readonly wait: number }

export const paces = { long: { load: 120, work: 400, wait: 2_000 }, short: { load: 30, work: 60, wait: 400 } } as const

export type KillOptions = {
  readonly kills: number
  readonly seed: number
  readonly pace?: Pace
  readonly say?: (line: string) => void
}

/** The last account has come up. */
export const isUp = ({ event, agent }: Line) => event === 'child:started' && agent === 'victim-3'

/** Runs the bank, kills its process at random moments, starts it again, and looks at every penny in the end. */
export async function runKills(ground: Ground, { kills, seed, pace = paces.long, say = () => {} }: KillOptions): Promise<Report> {
  const began = performance.now()
  const chance = chanceOf(seed)
  const done: string[] = []
  await using feed = startFeed({ query: ground.query, seed, chance: chanceOf(seed + 1), load: pace.load })
  while (done.length < kills) {
    await using bank = startProcess(ground)
    const moment = await killOnce(ground, bank, chance, pace)
    done.push(moment)
    say(`kill ${done.length}: ${moment}; ${feed.transfers} transfers ordered`)
  }
  await finish(ground, feed)
  const violations = audit(await ground.facts(feed.orders))
  return { seed, transfers: feed.transfers, violations, kills: done, seconds: Math.round((performance.now() - began) / 1_000) }
}

/**
 * Mostly in the midst of work, now and then as soon as it is up, while it starts, or while it drains. That some of its lives get
 * something done is not left to chance: a message that is in hand at ten deaths of its process is a dead letter, and rightly so.
 */
async function killOnce({ query }: Ground, bank: Process, chance: Chance, pace: Pace): Promise<string> {
  const kind = chance.pick(['at work', 'at work', 'at work', 'soon', 'at its start', 'while it drained'] as const)
  const [wait, last, work] = [chance.between(0, pace.wait), chance.between(0, 400), chance.between(20, pace.work)]
  if (kind !== 'at its start') await bank.line('bank', isUp)
  if (kind === 'at work' || kind === 'while it drained') await progress(query, work)
  await delay(kind === 'soon' ? wait / 4 : wait)
  if (kind === 'while it drained') {
    bank.kill('SIGTERM')
    await Promise.race([delay(last), bank.exited])
  }
  bank.kill('SIGKILL')
  return `${kind} (${await bank.exited})`
}

/** Waits until so many turns more are committed. */
export async function progress(query: Query, turns: number, limit = 60_000): Promise<void> {
  const until = performance.now() + limit
  let first = Number.NaN
  for (let done = Number.NaN; !(done - first >= turns); await delay(50)) {
    if (performance.now() > until) throw new Error(`No ${turns} turns within ${limit} ms, but ${done - first}`)
    const [row] = await query('select coalesce(sum(version), 0)::int as sum from agent_state').catch(() => [])
    done = Number(row?.sum ?? Number.NaN)
    if (Number.isNaN(first)) first = done
  }
}

/** Lets the bank come to rest, and ends it as one should. */
export async function finish(ground: Ground, feed: { finish(): Promise<void> }): Promise<void> {
  await using bank = startProcess(ground)
  await bank.line('bank', isUp)
  await feed.finish()
  await settled(ground.query).catch((error: Error) => {
    throw new Error(`${error.message}\n${bank.tail()}`)
  })
  bank.kill('SIGTERM')
  const code = await bank.exited
  if (code !== 0) throw new Error(`The bank ended with ${code}:\n${bank.tail()}`)
}
