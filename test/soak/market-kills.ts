import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Job, type Marketplace, type Mode, startMarketplace } from '../actors/bazaar/marketplace.ts'
import { makeDatabase } from '../embedded-folder.ts'
import { tempFolder } from '../helpers.ts'
import { chanceOf } from './bank.ts'
import type { Report } from './kills.ts'
import { type Line, type Process, startProcess } from './process.ts'

const repository = join(import.meta.dirname, '../..')
const isUp = ({ event, agent }: Line) => event === 'child:started' && agent === 'worker'

export interface MarketKillOptions {
  readonly kills: number
  readonly seed: number
  readonly mode?: Mode
  readonly say?: (line: string) => void
}

/** Lets a team work for a marketplace, kills its process at random moments, and counts what was delivered in the end. */
export async function runMarketKills({ kills, seed, mode = 'faithful', say = () => {} }: MarketKillOptions): Promise<Report> {
  const began = performance.now()
  const chance = chanceOf(seed)
  await using folder = await tempFolder()
  await using market = await startMarketplace({ mode, coolDown: 0 })
  await Promise.all([makeMarketProject(folder.path, market), makeDatabase(join(folder.path, '.troupe'))])
  const jobs: Job[] = []
  const done: string[] = []
  const start = () => startProcess({ project: folder.path, env: { AGENT_WALLET: '' } })
  while (done.length < kills) {
    await using team = start()
    const kind = chance.pick(['at work', 'at work', 'at work', 'at its start', 'while it drained'] as const)
    const [wait, last] = [chance.between(0, 1_500), chance.between(0, 300)]
    if (kind !== 'at its start') {
      await team.line('the worker', isUp)
      // Something new is won, so that the end comes somewhere in the life of a job.
      await give(market, jobs, team)
    }
    await delay(wait)
    if (kind === 'while it drained') {
      team.kill('SIGTERM')
      await Promise.race([delay(last), team.exited])
    }
    team.kill('SIGKILL')
    done.push(`${kind} (${await team.exited})`)
    say(`kill ${done.length}: ${done.at(-1)}; ${jobs.length} jobs given`)
  }
  await using team = start()
  await give(market, jobs, team)
  await awardUntil(market, jobs, team, () => jobs.every(({ status }) => status === 'completed'))
  team.kill('SIGTERM')
  const code = await team.exited
  const violations = [...audit(market, jobs), ...(code === 0 ? [] : [`the team ended with ${code}: ${team.tail()}`])]
  return { seed, transfers: jobs.length, violations, kills: done, seconds: Math.round((performance.now() - began) / 1_000) }
}

/** Posts three jobs and awards one of them, perhaps while older ones are under way. */
async function give(market: Marketplace, jobs: Job[], team: Process): Promise<void> {
  const fresh = [1, 2, 3].map((n) =>
    market.post({ title: `A slow ${n * 200} summary`, description: 'one two', required_capabilities: ['summarizing'], budget_usd: 0.5 }),
  )
  jobs.push(...fresh)
  await awardUntil(market, jobs, team, () => jobs.filter(({ status }) => status === 'assigned').length > 0)
}

/** Awards every job to the first who bids for it. */
async function awardUntil(market: Marketplace, jobs: readonly Job[], team: Process, isSo: () => boolean): Promise<void> {
  const award = () => {
    for (const { job_id, status } of jobs) {
      const [bid] = market.bids(job_id)
      if (bid && status === 'posted') market.select(job_id, bid.bid_id)
    }
    return isSo()
  }
  await market.until('jobs are won and done', award, 90_000).catch((error: Error) => {
    const open = jobs.filter(({ status }) => status !== 'completed').map((job) => JSON.stringify({ ...job, bids: market.bids(job.job_id) }))
    throw new Error([error.message, ...open, team.tail()].join('\n'))
  })
}

/** Each job has one bid and was accepted once. */
function audit(market: Marketplace, jobs: readonly Job[]): string[] {
  return jobs.flatMap(({ job_id, status }) => {
    const bids = market.bids(job_id).length
    const accepted = market.of('POST', new RegExp(`${job_id}/submit-result$`)).filter((call) => call.status === 200).length
    const isRight = status === 'completed' && bids === 1 && accepted === 1
    return isRight ? [] : [`${job_id} is ${status}, with ${bids} bids and ${accepted} deliveries`]
  })
}

/** A project as a user's own, with the gateway and the specialist of the tests. */
async function makeMarketProject(folder: string, { url }: Marketplace): Promise<void> {
  await mkdir(join(folder, 'actors/lib'), { recursive: true })
  await cp(join(repository, 'package.json'), join(folder, 'package.json'))
  for (const name of ['src', 'node_modules']) await symlink(join(repository, name), join(folder, name))
  for (const path of ['bazaar-gateway.ts', 'lib/bazaar', 'lib/model-usage.ts', 'lib/specialist.ts']) {
    await cp(join(repository, 'actors', path), join(folder, 'actors', path), { recursive: true })
  }
  const source = await readFile(join(repository, 'test/actors/bazaar/actors/summarizer.ts'), 'utf8')
  await writeFile(join(folder, 'actors/summarizer.ts'), source.replaceAll('../../../../actors/', './'))
  const args = { api: url, owner: 'kills', pollEvery: 200, heartbeatEvery: 2_000 }
  const agents = [
    { id: 'gate', type: 'bazaar-gateway', origins: [url], args },
    { id: 'worker', type: 'summarizer', args: { reportEvery: 600, capacity: 2 } },
  ]
  const config = { name: 'market', leases: { agents: '2s', jobs: '4s' }, teams: [{ id: 'market', agents }] }
  await writeFile(join(folder, 'bank.yaml'), JSON.stringify(config, null, 2))
}
