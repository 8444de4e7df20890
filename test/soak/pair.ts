import { setTimeout as delay } from 'node:timers/promises'
import { audit } from './audit.ts'
import { accounts, chanceOf } from './bank.ts'
import { settled, startFeed } from './feed.ts'
import type { Ground } from './ground.ts'
import type { Report } from './kills.ts'
import { type Process, startProcess } from './process.ts'

/** How long it took another process to run the first account, and all of them, in ms since the holder was ended or frozen. */
export type PairReport = Report & { readonly takeovers: readonly { readonly first: number; readonly all: number }[] }

export type PairOptions = { readonly seed: number; readonly load?: number; readonly say?: (line: string) => void }

/**
 * Two processes on one database. The holder is killed under load, and the other one goes on. Then the new holder is frozen, a third one
 * goes on, and the frozen one wakes up to find that nothing is its own any more; when the third is killed, it is the next again.
 */
export async function runPair(ground: Ground, { seed, load = 80, say = () => {} }: PairOptions): Promise<PairReport> {
  const began = performance.now()
  const chance = chanceOf(seed)
  const takeovers: { first: number; all: number }[] = []
  await using feed = startFeed({ query: ground.query, seed, chance: chanceOf(seed + 1), load })
  const open = (folder: string) => startProcess({ ...ground, folder })

  async function takeOver(next: Process, what: string, act: () => void): Promise<void> {
    await delay(chance.between(300, 2_500))
    const at = performance.now()
    act()
    const first = await next.line('first start', ({ event, at: then }) => event === 'child:started' && then >= at)
    const last = await runsAll(next, at)
    const times = { first: Math.round(first.at - at), all: Math.round(last - at) }
    takeovers.push(times)
    say(`${what}: taken over after ${times.first} to ${times.all} ms; ${feed.transfers} transfers ordered`)
  }

  await using first = open('first')
  await runsAll(first, 0)
  await using second = open('second')
  await standsBy(second)
  await takeOver(second, 'killed', () => first.kill('SIGKILL'))
  await using third = open('third')
  await standsBy(third)
  await takeOver(third, 'frozen', () => second.kill('SIGSTOP'))
  const woken = performance.now()
  second.kill('SIGCONT')
  await losesAll(second, woken)
  say(`woken up: it knew of all its losses after ${Math.round(performance.now() - woken)} ms`)
  await takeOver(second, 'killed again', () => third.kill('SIGKILL'))
  await feed.finish()
  await settled(ground.query).catch((error: Error) => {
    throw new Error(`${error.message}\n${second.tail()}`)
  })
  second.kill('SIGTERM')
  const code = await second.exited
  const violations = [
    ...audit({ ...(await ground.facts(feed.orders)), frozen: [second.pid] }),
    ...(code === 0 ? [] : [`the last process ended with ${code}`]),
  ]
  const kills = ['killed', 'frozen', 'killed again']
  return { seed, transfers: feed.transfers, violations, kills, takeovers, seconds: Math.round((performance.now() - began) / 1_000) }
}

/** Resolves with the moment in which the last account was up. */
async function runsAll(bank: Process, since: number): Promise<number> {
  const starts = accounts.map((name) =>
    bank.line(`start of ${name}`, ({ event, agent, at }) => event === 'child:started' && agent === name && at >= since),
  )
  return Math.max(...(await Promise.all(starts)).map(({ at }) => at))
}

async function standsBy(bank: Process): Promise<void> {
  await Promise.all(
    accounts.map((name) => bank.line(`refusal of ${name}`, ({ event, agent }) => event === 'lease:refused' && agent === name)),
  )
}

async function losesAll(bank: Process, since: number): Promise<void> {
  const ends = accounts.map((name) =>
    bank.line(`end of ${name}`, ({ event, agent, at }) => event === 'child:exited' && agent === name && at >= since),
  )
  await Promise.all(ends)
}
