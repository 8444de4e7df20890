import { parseArgs } from 'node:util'
import { type Harm, harms } from './harms.ts'
import type { Report } from './kills.ts'
import { runMarketKills } from './market-kills.ts'
import { outages } from './outages.ts'
import type { PairReport } from './pair.ts'
import { harm, type Kind, kills, outage, pair } from './stores.ts'

const usage = `npm run soak -- [options]

Runs a bank of twenty agents and kills, harms and starves it at random; in the end every penny is counted.

  --kills <n>       how often its process is killed on each store (default 50)
  --store <which>   embedded, postgres or both (default both)
  --faults <list>   of kill, harm, market, outage, pair, separated by commas (default all; outage and pair need PostgreSQL)
  --rounds <n>      how often harms, outages and pairs are run (default 3)
  --seed <n>        to have the same chances again (default a new one, which is printed)
  --help

PostgreSQL is the server of TROUPE_TEST_DATABASE_URL: eval "$(.ci/postgres start)" starts one.
Exit code 1: something was lost, doubled or harmed.
`

const faults = ['kill', 'harm', 'market', 'outage', 'pair'] as const
const marketKills = 30
type Fault = (typeof faults)[number]

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kills: { type: 'string', default: '50' },
      store: { type: 'string', default: 'both' },
      faults: { type: 'string', default: faults.join(',') },
      rounds: { type: 'string', default: '3' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    print(usage)
    return 0
  }
  const seed = countOf('seed', values.seed)
  const stores = storesOf(values.store)
  const chosen = faultsOf(values.faults)
  const rounds = Array.from({ length: countOf('rounds', values.rounds) }, (_, round) => seed + 1_000 * round)
  print(`seed ${seed}\n`)
  let bad = 0
  const run = async (name: string, work: () => Promise<Report>) => {
    bad += (await tried(name, work)) ? 0 : 1
  }
  for (const kind of stores) {
    if (chosen.includes('kill')) await run(`kill ${kind}`, () => kills({ kind, seed, say }, countOf('kills', values.kills)))
    for (const at of chosen.includes('harm') ? rounds : [])
      await run(`harm ${kind} ${at}`, () => harm({ kind, seed: at, say }, [...(Object.keys(harms) as Harm[])]))
  }
  for (const mode of chosen.includes('market') ? (['faithful', 'fixed'] as const) : [])
    await run(`market ${mode}`, () => runMarketKills({ kills: marketKills, seed, mode, say }))
  for (const at of stores.includes('postgres') ? rounds : []) {
    if (chosen.includes('outage')) await run(`outage ${at}`, () => outage({ seed: at, say }, outages))
    if (chosen.includes('pair')) await run(`pair ${at}`, () => pair({ seed: at, say }))
  }
  print(bad === 0 ? `nothing lost, nothing twice (seed ${seed})\n` : `${bad} runs went wrong (seed ${seed})\n`)
  return bad === 0 ? 0 : 1
}

async function tried(name: string, work: () => Promise<Report>): Promise<boolean> {
  print(`--- ${name}\n`)
  try {
    const report = await work()
    const { transfers, seconds, violations, kills: done } = report
    const takeovers = 'takeovers' in report ? (report as PairReport).takeovers.map(({ first, all }) => `${first} to ${all} ms`) : []
    print(`${name}: ${transfers} transfers, ${done.length} faults, ${seconds} s, ${violations.length} violations`)
    print(takeovers.length > 0 ? `, taken over after ${takeovers.join(', ')}\n` : '\n')
    for (const violation of violations) print(`  VIOLATION ${violation}\n`)
    return violations.length === 0
  } catch (error) {
    print(`${name}: ${(error as Error).stack}\n`)
    return false
  }
}

function say(line: string): void {
  print(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
}

function print(text: string): void {
  process.stdout.write(text)
}

function countOf(name: string, text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 0) throw new Error(`--${name}: expected a whole number, found "${text}"`)
  return count
}

function storesOf(text: string): Kind[] {
  if (text === 'both') return ['embedded', 'postgres']
  if (text === 'embedded' || text === 'postgres') return [text]
  throw new Error(`--store: expected embedded, postgres or both, found "${text}"`)
}

function faultsOf(text: string): Fault[] {
  const names = text.split(',')
  const unknown = names.find((name) => !faults.some((fault) => fault === name))
  if (unknown !== undefined) throw new Error(`--faults: expected ${faults.join(', ')}, found "${unknown}"`)
  return faults.filter((fault) => names.includes(fault))
}
