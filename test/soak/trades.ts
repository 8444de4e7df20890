import { parseArgs } from 'node:util'
import { buildTemplate, databaseUrl, dropDatabases, withClient } from '../postgres-setup.ts'
import { runTradeKills, type TradeRun } from './trade-kills.ts'

const usage = `npm run soak:trades -- [options]

Trades a hundred and more opportunities on simulated markets twice on each store: undisturbed, and with kill -9 at random moments. In the
end every trade, its profit and the exposure must be the same, and nothing bought twice.

  --kills <n>       how often the process is killed on each store (default 50)
  --store <which>   embedded, postgres or both (default both)
  --seed <n>        to have the same chances again (default a new one, which is printed)
  --help

PostgreSQL is the server of TROUPE_TEST_DATABASE_URL: eval "$(.ci/postgres start)" starts one.
Exit code 1: something was lost, doubled or different.
`

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kills: { type: 'string', default: '50' },
      store: { type: 'string', default: 'both' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    print(usage)
    return 0
  }
  const [seed, kills] = [countOf('seed', values.seed), countOf('kills', values.kills)]
  print(`seed ${seed}\n`)
  let bad = 0
  for (const kind of storesOf(values.store)) bad += (await isGood(kind, { seed, kills, most: 150 })) ? 0 : 1
  return bad === 0 ? 0 : 1
}

async function isGood(kind: string, run: TradeRun): Promise<boolean> {
  print(`--- ${kind}\n`)
  try {
    const { executions, pnl, seconds, violations } = await runTradeKills({
      ...run,
      say,
      ...(kind === 'postgres' && { database: makeDatabase }),
    })
    print(`${kind}: ${executions} executions, profit ${pnl}, ${run.kills} kills, ${seconds} s, ${violations.length} violations\n`)
    for (const violation of violations) print(`  VIOLATION ${violation}\n`)
    return violations.length === 0
  } catch (error) {
    print(`${kind}: ${(error as Error).stack}\n`)
    return false
  }
}

/** Makes a database on the server for tests. */
async function makeDatabase() {
  const server = process.env.TROUPE_TEST_DATABASE_URL
  if (!server) throw new Error('PostgreSQL is not there: eval "$(.ci/postgres start)", or set TROUPE_TEST_DATABASE_URL (superuser)')
  const name = `troupe_trades_${process.pid}_${Date.now()}`
  await withClient(server, (sql) => buildTemplate(sql, server, name))
  const drop = () => withClient(server, (sql) => dropDatabases(sql, [name]))
  return { url: databaseUrl(server, name), [Symbol.asyncDispose]: async () => void (await drop()) }
}

function storesOf(text: string): readonly string[] {
  if (text === 'both') return ['embedded', 'postgres']
  if (text === 'embedded' || text === 'postgres') return [text]
  throw new Error(`--store: expected embedded, postgres or both, found "${text}"`)
}

function countOf(name: string, text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 0) throw new Error(`--${name}: expected a whole number, found "${text}"`)
  return count
}

function say(line: string): void {
  print(`${new Date().toISOString().slice(11, 19)} ${line}\n`)
}

function print(text: string): void {
  process.stdout.write(text)
}
