import { startCluster } from '../postgres-cluster.ts'
import { buildTemplate, databaseUrl, dropDatabases, withClient } from '../postgres-setup.ts'
import { embeddedGround, type Ground, postgresGround } from './ground.ts'
import { type Harm, runHarms } from './harms.ts'
import { type Pace, type Report, runKills } from './kills.ts'
import { type Outage, runOutages } from './outages.ts'
import { type PairReport, runPair } from './pair.ts'
import { startProxy } from './proxy.ts'

export type Kind = Ground['kind']
type Say = (line: string) => void

/** Short, so that what a killed process had is soon taken over. */
export const leases = { agents: 2_000, jobs: 4_000 }

export type Run = { readonly kind: Kind; readonly seed: number; readonly say?: Say; readonly database?: string }

/** Makes a ground, runs something on it, and clears it away. Without a database one is made on the server for tests. */
async function withGround<Result>({ kind, database }: Run, use: (ground: Ground) => Promise<Result>, isProbed = false): Promise<Result> {
  if (kind === 'embedded') {
    await using ground = await embeddedGround({ leases, isProbed })
    return await use(ground)
  }
  if (database !== undefined) {
    await using ground = await postgresGround({ leases, isProbed, url: database })
    return await use(ground)
  }
  const server = process.env.TROUPE_TEST_DATABASE_URL
  if (!server) throw new Error('PostgreSQL is not there: eval "$(.ci/postgres start)", or set TROUPE_TEST_DATABASE_URL (superuser)')
  const name = `troupe_soak_${process.pid}_${Date.now()}`
  try {
    await withClient(server, (sql) => buildTemplate(sql, server, name))
    await using ground = await postgresGround({ leases, isProbed, url: databaseUrl(server, name) })
    return await use(ground)
  } finally {
    await withClient(server, (sql) => dropDatabases(sql, [name]))
  }
}

export function kills(run: Run & { readonly pace?: Pace }, count: number): Promise<Report> {
  return withGround(run, (ground) => runKills(ground, { ...run, kills: count }))
}

export function harm(run: Run, given: readonly Harm[]): Promise<Report> {
  return withGround(run, (ground) => runHarms(ground, { ...run, given }), true)
}

export function pair(run: Omit<Run, 'kind'> & { readonly load?: number }): Promise<PairReport> {
  return withGround({ ...run, kind: 'postgres' }, (ground) => runPair(ground, run))
}

/** On a server of its own. */
export async function outage(run: Omit<Run, 'kind'>, given: readonly Outage[]): Promise<Report> {
  await using cluster = await startCluster({ connections: 40 })
  await using proxy = await startProxy(cluster.url)
  await using ground = await postgresGround({ leases, isProbed: true, url: cluster.url, server: proxy.url })
  return await runOutages(ground, { ...run, given, cluster, proxy })
}
