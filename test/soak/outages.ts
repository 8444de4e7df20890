import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster } from '../postgres-cluster.ts'
import { chanceOf } from './bank.ts'
import { startFeed } from './feed.ts'
import type { Ground } from './ground.ts'
import { endProbed } from './harms.ts'
import { isUp, progress, type Report } from './kills.ts'
import { startProcess } from './process.ts'
import type { SocketProxy } from './proxy.ts'

/** Ways for a server to be away: it is stopped, it does not answer, its connections break. */
export const outages = ['stopped', 'frozen', 'cut'] as const
export type Outage = (typeof outages)[number]

export type OutageOptions = {
  readonly seed: number
  readonly given: readonly Outage[]
  readonly cluster: Cluster
  readonly proxy: SocketProxy
  readonly say?: (line: string) => void
}

/** Takes the store away from a bank at work, and gives it back: no agent is restarted for it, and nothing is lost. */
export async function runOutages(ground: Ground, { seed, given, cluster, proxy, say = () => {} }: OutageOptions): Promise<Report> {
  const began = performance.now()
  const chance = chanceOf(seed)
  await using feed = startFeed({ query: ground.query, seed, chance: chanceOf(seed + 1), load: 40 })
  await using bank = startProcess(ground)
  await bank.line('bank', isUp)
  for (const outage of given) {
    await delay(chance.between(200, 1_500))
    const away = chance.between(500, 5_000)
    await bringAbout(outage, away, { cluster, proxy })
    const at = performance.now()
    await progress(ground.query, 1, 60_000)
    say(`${outage} for ${away} ms, back at work ${Math.round(performance.now() - at)} ms later; ${feed.transfers} transfers ordered`)
  }
  const { wrong: violations, slowest } = await endProbed(ground, bank, feed, seed)
  say(`the slowest answer took ${slowest} ms`)
  return { seed, transfers: feed.transfers, violations, kills: given, seconds: Math.round((performance.now() - began) / 1_000) }
}

async function bringAbout(outage: Outage, away: number, { cluster, proxy }: Pick<OutageOptions, 'cluster' | 'proxy'>): Promise<void> {
  switch (outage) {
    case 'stopped':
      await cluster.stop('immediate')
      await delay(away)
      return cluster.start()
    case 'frozen':
      await cluster.freeze()
      await delay(away)
      return cluster.thaw()
    case 'cut':
      for (let left = away; left > 0; left -= 500) {
        proxy.cut()
        await delay(Math.min(left, 500))
      }
  }
}
