import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { openLog } from '../../../src/host/log.ts'
import { type Ground, openGround } from '../../runtime/team.ts'
import { startExchange } from './exchange.ts'
import { tradingTeam } from './ground.ts'

// The whole way of real money but for its two ends: the exchange is on this machine, and a stand-in plays the CLI.
const there = vi.hoisted(() => ({ url: '' }))
vi.mock('undici', async (load) => {
  const undici = await load<typeof import('undici')>()
  const isExchange = (origin: unknown) => /^https:\/\/(gamma-api|clob)\.polymarket\.com$/.test(String(origin))
  class Rerouted extends undici.Agent {
    override dispatch(...[options, handler]: Parameters<InstanceType<typeof undici.Agent>['dispatch']>): boolean {
      return super.dispatch(isExchange(options.origin) ? { ...options, origin: there.url } : options, handler)
    }
  }
  return { ...undici, Agent: Rerouted }
})

const standIn = join(import.meta.dirname, '../markets/polyclaw-stand-in.js')
const key = '0xfeed5eed0123456789'
const node = 'https://rpc.example/key-0123456789'

let ground: Ground
let exchange: Awaited<ReturnType<typeof startExchange>>
beforeAll(async () => {
  ;[ground, exchange] = await Promise.all([openGround(), startExchange()])
  there.url = exchange.url
  await ground.backend.query("update system_config set value = '1000' where key = 'max_daily_exposure'")
})
afterAll(() => Promise.all([ground?.[Symbol.asyncDispose](), exchange?.[Symbol.asyncDispose]()]))
afterEach(() => vi.unstubAllEnvs())

const fileOf = (id: string, name: string) => join(ground.folder, `${id}-${name}`)

/** A trader with real money, whose CLI behaves as `mode` says. */
function live(
  mode: string,
  { id = `t-${mode}`, env = {}, timeout = 60_000, ...args }: Readonly<Record<string, unknown>> & { id?: string } = {},
) {
  const secrets = { POLYCLAW_PRIVATE_KEY: key, CHAINSTACK_NODE: node }
  const told = { STAND_IN: mode, STAND_IN_LOG: fileOf(id, 'calls'), STAND_IN_STORE: fileOf(id, 'positions') }
  const command = [process.execPath, standIn]
  const polyclaw = { command, trade: command, env: { ...secrets, ...told, ...(env as object) }, timeout }
  return {
    id,
    type: 'trader',
    shutdown: 200,
    args: { market: 'polymarket', broker: 'polyclaw', polyclaw, markInterval: 3_600_000, ...args },
  }
}

let markets = 1_000

/** Publishes what is worth buying, for one trader; gives its id and its job. */
async function publish(trader: string) {
  markets += 1
  const facts = { market_id: String(markets), market_question: 'Will it rain?', side: 'YES', current_price: 0.41, target_price: 0.7 }
  const found = {
    edge: 0.29,
    confidence: 0.9,
    suggested_position: 4,
    discovered_by: 'test',
    discovery_method: 'test',
    expires_in_ms: 600_000,
  }
  const details = { source: 'polymarket', probability: 0.7 }
  const job = { target_agent: trader, max_attempts: 10 }
  const answer = await ground.store.call('publish_opportunity', { p_args: { opportunity: { ...facts, ...found, details }, job } } as never)
  const { opportunity_id: id, job_id: of } = answer as { opportunity_id: string; job_id: string }
  return { id, job: of }
}

const resultOf = async (job: string) => (await ground.store.read('agent_jobs', { id: job }))[0]?.result as Record<string, unknown> | null
const executionOf = async (id: string) => {
  const rows = await ground.store.read('trade_executions', { opportunity_id: id })
  return rows.map(({ status, stage, amount, shares, error_message: error }) => ({ status, stage, amount, shares, error }))
}
/** Of today and of all traders, as the limits count it. */
const exposure = async () => (await ground.store.call('trading_exposure', { p_args: { broker: 'polyclaw' } })).today
const callsOf = (id: string) => {
  const file = fileOf(id, 'calls')
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  return lines.map((line) => (JSON.parse(line) as { args: string[] }).args)
}
const purchasesOf = (id: string) => callsOf(id).filter((args) => args.includes('buy'))

/** What the team logs, with nothing taken out that the environment does not name. */
async function startTeam(agents: readonly object[], LIVE_TRADING: string) {
  vi.stubEnv('LIVE_TRADING', LIVE_TRADING)
  const lines: string[] = []
  const log = await openLog({ env: { LOG_LEVEL: 'debug' }, isPretty: false, write: (text) => lines.push(text) })
  const team = tradingTeam(ground, agents, {}, { log })
  await team.start()
  return { team, lines, [Symbol.asyncDispose]: () => team[Symbol.asyncDispose]() }
}

/** Where a secret can be found that must be nowhere but in the environment of the CLI. */
async function leaks(lines: readonly string[], ids: readonly string[]): Promise<string[]> {
  const { rows } = await ground.backend.query(
    "select schemaname || '.' || tablename from pg_tables where schemaname in ('public', 'troupe')",
  )
  const tables = rows.map(
    async ([name]) => [String(name), (await ground.backend.query(`select to_jsonb(t)::text from ${name} t`)).rows] as const,
  )
  const places = [...(await Promise.all(tables)), ['log', lines] as const, ['argv', ids.map(callsOf)] as const]
  return places.filter(([, what]) => [key, node].some((secret) => JSON.stringify(what).includes(secret))).map(([place]) => place)
}

test('what the CLI makes of a purchase is what the trader books and what stays reserved', { timeout: 120_000 }, async () => {
  const modes = ['filled', 'unsold', 'usage', 'no_funds', 'hang', 'garbage', 'split_failed']
  const traders = [
    ...modes.map((mode) => live(mode, mode === 'hang' ? { timeout: 1_000 } : {})),
    live('filled', { id: 't-shared', sharesWallet: true }),
  ]
  const ids = traders.map(({ id }) => id)
  const offers = await Promise.all(ids.map(publish))
  await using run = await startTeam(traders, '1')
  const ended = await Promise.all(
    offers.map(async ({ id, job }) => {
      await run.team.event('turn:committed', ({ handled }) => handled === job)
      const { decision, reason, broker } = (await resultOf(job)) ?? {}
      return { decision, reason, broker, executions: await executionOf(id) }
    }),
  )
  const of = (decision: string, reason: string | undefined, execution: object) => {
    return { decision, reason, broker: 'polyclaw', executions: [{ error: null, shares: null, amount: 5, ...execution }] }
  }
  const unknown = (error: string) => of('unknown', error, { status: 'pending', stage: 'unknown', error })
  const bought = of('executed', undefined, { status: 'executed', stage: 'filled', amount: 2.4, shares: 5 })
  const [usage, funds] = ['polyclaw: error: argument amount', 'Trade failed: Insufficient USDC.e: have 1.00, need 10.00']
  expect(ended).toEqual([
    bought,
    of('unsold_leg', 'FOK order not filled', { status: 'executed', stage: 'unsold_leg', shares: 5, error: 'FOK order not filled' }),
    of('not_filled', 'usage', { status: 'failed', stage: 'closed', error: `usage: ${usage}` }),
    of('not_filled', 'no_funds', { status: 'failed', stage: 'closed', error: `no_funds: ${funds}` }),
    unknown('no end after 1000 ms'),
    unknown('exit code 0 without a result that makes sense'),
    unknown('Trade failed: Split failed: no receipt after 120 seconds at ***'),
    bought,
  ])
  // Two fills; one pair and three that may have been bought: five dollars each. What was refused is free again.
  expect(await exposure()).toBeCloseTo(2 * 2.4 + 4 * 5)
  expect(purchasesOf('t-filled')).toEqual([['--json', 'buy', expect.stringMatching(/^\d+$/), 'YES', '5.00']])
  // Another job for the same trade finds what became of the first, and buys nothing.
  const payloads = await Promise.all(offers.map(({ job }) => payloadOf(job)))
  const more = payloads.map((payload, at) => ({ job_type: 'execute_trade', payload, target_agent: String(ids[at]) }))
  const repeated = await ground.store.call('create_jobs', { p_batch: more })
  await Promise.all(repeated.map(({ job_id: job }) => run.team.event('turn:committed', ({ handled }) => handled === job)))
  const decisions = await Promise.all(repeated.map(async ({ job_id: job }) => (await resultOf(String(job)))?.decision))
  expect(decisions).toEqual([...['executed', 'unsold_leg', 'rejected', 'rejected', 'unknown', 'unknown', 'unknown', 'executed']])
  expect(ids.map((id) => purchasesOf(id).length)).toEqual(ids.map(() => 1))
  expect(await exposure()).toBeCloseTo(2 * 2.4 + 4 * 5)
  // "No positions found." is a wallet that nobody else uses.
  expect(callsOf('t-shared').map((args) => args.includes('buy'))).toEqual([false, true])
  expect([await leaks(run.lines, ids), run.lines.join('').includes('LIVE: polyclaw trades with real money')]).toEqual([[], true])
})

test('without LIVE_TRADING=1 it is paper, and says so', { timeout: 60_000 }, async () => {
  const before = await exposure()
  const { id, job } = await publish('t-paper')
  await using run = await startTeam([live('filled', { id: 't-paper' })], 'yes')
  await run.team.event('turn:committed', ({ handled }) => handled === job)
  expect(await resultOf(job)).toMatchObject({ decision: 'executed', broker: 'paper' })
  const [{ details, amount } = {}] = await ground.store.read('trade_executions', { opportunity_id: id })
  expect([details?.broker, callsOf('t-paper'), await exposure()]).toEqual(['paper', [], before + (amount ?? 0)])
  const said = 'paper: the config names polyclaw, but LIVE_TRADING is not 1'
  expect(run.lines.some((line) => line.includes(said))).toBe(true)
})

/** Where a purchase stops half way until somebody writes to it. */
async function openGate() {
  const { promise: reached, resolve } = Promise.withResolvers<Socket>()
  const server = createServer(resolve).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.close()
    const socket = await Promise.race([reached, undefined])
    socket?.destroy()
  }
  return { port: (server.address() as AddressInfo).port, reached, [Symbol.asyncDispose]: close }
}

test('a trader that dies between the order and its record leaves an unknown one, which is never bought again and found out', {
  timeout: 120_000,
}, async () => {
  await using gate = await openGate()
  const env = { STAND_IN_PORT: String(gate.port) }
  const before = await exposure()
  const { id, job } = await publish('t-late')
  await using run = await startTeam([live('late', { env, markInterval: 500 })], '1')
  const cli = await gate.reached
  await run.team.restart('t-late')
  await run.team.event('turn:committed', ({ handled }) => handled === job)
  const again = await ground.store.call('create_jobs', { p_batch: [{ job_type: 'execute_trade', payload: await payloadOf(job) }] })
  await run.team.event('turn:committed', ({ handled }) => handled === again[0]?.job_id)
  const unknown = { status: 'pending', stage: 'unknown', amount: 5, shares: null, error: expect.any(String) }
  expect([(await resultOf(job))?.decision, await executionOf(id), (await exposure()) - before]).toEqual(['unknown', [unknown], 5])

  // The purchase ends behind everybody's back; a look at the CLI's list finds it.
  cli.write('go on')
  await expect
    .poll(() => executionOf(id), { timeout: 20_000 })
    .toMatchObject([{ status: 'executed', stage: 'filled', amount: 2.4, shares: 5 }])
  expect([purchasesOf('t-late').length, (await exposure()) - before, await leaks(run.lines, ['t-late'])]).toEqual([
    1,
    expect.closeTo(2.4),
    [],
  ])
})

const payloadOf = async (job: string) => (await ground.store.read('agent_jobs', { id: job }))[0]?.payload as never
