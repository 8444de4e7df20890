import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { type Database, freshDatabase } from '../../postgres.ts'
import { startTroupe } from '../../store/run-troupe.ts'
import { pythonAgent } from './python.ts'

const root = join(import.meta.dirname, '../../..')
// Standing books, some of which sell a pair for less than it pays: the scanner finds them by itself.
const market = 'simulated:7?interval=0&markets=300'
const patience = { timeout: 60_000 }

const config = (stale: number) => ({
  name: 'terminals',
  teams: [
    {
      id: 'trading',
      agents: [
        { id: 'scanner-main', type: 'scanner', args: { market, shortList: 300, research: 3 } },
        { id: 'trader', type: 'trader', replicas: 3, args: { market } },
        { id: 'coordinator-main', type: 'coordinator', args: { interval: stale } },
      ],
    },
  ],
})

/** The classic terminals: one process for each type of agent, all on one database. */
async function openTerminals(db: Database) {
  const folder = await tempFolder()
  const file = join(folder.path, 'terminals.yaml')
  await writeFile(file, JSON.stringify(config(1_000)))
  const open: { readonly child: ReturnType<typeof startTroupe>; readonly said: string[]; readonly exited: Promise<unknown> }[] = []
  return {
    start(AGENT_MODE: string): void {
      const own = join(folder.path, `${AGENT_MODE}-${open.length}`)
      const env = { DATABASE_URL: db.url, AGENT_MODE, PORT: '0', TROUPE_CONFIG: '', MARKET: '' }
      const child = startTroupe(['start', '--config', file, '--folder', own, '--json'], { cwd: root, env })
      const said: string[] = []
      for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => said.push(text))
      open.push({ child, said, exited: once(child, 'exit') })
    },
    said: () => open.map(({ said }) => said.join('').slice(-2_000)).join('\n---\n'),
    async stop(): Promise<(number | null)[]> {
      for (const { child } of open) child.kill('SIGTERM')
      await Promise.all(open.map(({ exited }) => exited))
      return open.map(({ child }) => child.exitCode)
    },
    async [Symbol.asyncDispose]() {
      for (const { child, exited } of open) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        child.kill('SIGKILL')
        await exited
      }
      await folder[Symbol.asyncDispose]()
    },
  }
}

test('the four terminals and agents in Python share one database, its jobs and its messages', { timeout: 240_000 }, async () => {
  await using db = await freshDatabase()
  await using terminals = await openTerminals(db)
  const { sql } = db
  const python = db.connect({ role: 'service_role', max: 1 })
  const [trader, researcher] = [pythonAgent(python, 'py-trader', 'trader'), pythonAgent(python, 'py-researcher', 'researcher')]
  await trader.register()
  await researcher.register()

  // A trader in Python takes what a scanner of Troupe found.
  terminals.start('scanner')
  let claimed: Awaited<ReturnType<typeof trader.claim>>
  await expect.poll(async () => (claimed ??= await trader.claim()), { ...patience, interval: 500 }).toBeDefined()
  const { opportunity_id, market_id, side, amount, confidence } = (claimed?.payload ?? {}) as Record<string, unknown>
  expect([claimed?.job_type, typeof opportunity_id, typeof market_id, side, typeof amount, typeof confidence]).toEqual([
    ...['execute_trade', 'string', 'string', expect.stringMatching(/^(YES|NO)$/), 'number'],
    'number',
  ])
  await trader.execute({ opportunity_id, job_id: claimed?.job_id, market_id, side, amount: 1, entry_price: 0.5, status: 'pending' })
  await trader.complete(claimed?.job_id, { success: true })
  const alerts = (await trader.messages()).filter(({ subject }) => subject === 'New Trade Opportunity')
  expect(alerts[0]).toMatchObject({ message_type: 'alert', from_agent: 'scanner-main', read: false })
  await trader.read(String(alerts[0]?.id))

  // A researcher in Python answers a scanner of Troupe, and traders of Troupe decide on what it publishes.
  let asked: Awaited<ReturnType<typeof researcher.claim>>
  await expect.poll(async () => (asked ??= await researcher.claim()), { ...patience, interval: 500 }).toBeDefined()
  const topic = asked?.payload as { market_id: string }
  const priced = { current_price: 0.3, suggested_position: 2.5, confidence: 0.75, edge: 0.15 }
  const { opportunity } = await researcher.publish({
    ...{ market_id: topic.market_id, market_question: 'From Python', side: 'YES', ...priced, research_summary: 'p = 45 %' },
    expires_at: new Date(Date.now() + 6 * 3_600_000).toISOString(),
  })
  await researcher.complete(asked?.job_id, { probability: 0.45 })

  for (const mode of ['trader', 'trader', 'coordinator']) terminals.start(mode)
  const decided = () =>
    sql`select status, reviewed_by from public.trade_opportunities where id = ${String(opportunity.id)} and status <> 'pending'`
  await expect.poll(decided, patience).toMatchObject([{ reviewed_by: expect.stringMatching(/^trader-[12]$/) }])
  const left = () => sql`select 1 from public.agent_jobs where job_type = 'execute_trade' and status not in ('completed', 'failed')`
  await expect.poll(async () => (await left()).length, patience).toBe(0)
  const held = () => sql`select agent_id, count(*) over () as nodes from public.agent_leases where node_id is not null order by agent_id`
  await expect
    .poll(async () => (await held()).map(({ agent_id }) => agent_id), patience)
    .toEqual([...['coordinator-main', 'scanner-main', 'trader-1'], 'trader-2'])
    .catch((error: Error) => {
      throw new Error(`${error.message}\n${terminals.said()}`, { cause: error })
    })
  const nodes = await sql`select distinct node_id from public.agent_leases where node_id is not null`
  expect(nodes.length).toBe(4)

  // A Python agent that has died is told of, in a message that Python agents read.
  await python`update public.agent_status set last_heartbeat = now() - interval '10 minutes', status = 'working' where agent_id = 'py-researcher'`
  const told = async () =>
    (await trader.messages())
      .filter(({ subject }) => subject === 'Health Check')
      .map(({ payload }) => String((payload as { text: string }).text))
  await expect
    .poll(async () => (await told()).join('; '), patience)
    .toContain('py-researcher (working) has not been heard of for 10 minutes')

  // What each did counts for it, and nothing that was told to all is a dead letter of those whom it does not concern.
  await expect
    .poll(
      () => sql`select agent_id, jobs_completed from public.agent_performance where period = 'daily' and agent_id like 'py-%' order by 1`,
      patience,
    )
    .toEqual([
      { agent_id: 'py-researcher', jobs_completed: 1 },
      { agent_id: 'py-trader', jobs_completed: 1 },
    ])
  const wrong =
    await sql`select 'message' as what, error from public.v_dead_letters union all select job_type, error from public.v_dead_jobs`
  expect(wrong).toEqual([])
  const twice =
    await sql`select opportunity_id from public.trade_executions where status <> 'failed' group by 1, market_id, side having count(*) > 1`
  expect(twice).toEqual([])
  expect(await terminals.stop()).toEqual([0, 0, 0, 0])
})
