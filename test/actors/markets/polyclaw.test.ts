import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Order } from '../../../actors/lib/markets/broker.ts'
import { createPolyclaw } from '../../../actors/lib/markets/polyclaw.ts'
import { outcomeIn, readPurchase } from '../../../actors/lib/markets/polyclaw-output.ts'
import { order } from './build.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

const secret = 'https://rpc.example/key-0123456789'

function standIn(mode: string, options: { timeout?: number; env?: Record<string, string>; folder?: string } = {}) {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'polyclaw-'))
  if (options.folder === undefined) folders.push(folder)
  const log = join(folder, 'log')
  const command = [process.execPath, join(import.meta.dirname, 'polyclaw-stand-in.js')] as const
  const env = { STAND_IN: mode, STAND_IN_LOG: log, STAND_IN_STORE: join(folder, 'positions.json'), CHAINSTACK_NODE: secret, ...options.env }
  const broker = createPolyclaw({ command, trade: command, env, most: 50_000_000, timeout: options.timeout ?? 25_000 })
  const calls = () =>
    (existsSync(log)
      ? readFileSync(log, 'utf8')
          .trim()
          .split('\n')
          .filter(Boolean) // ended before it wrote any
          .map((line) => JSON.parse(line))
      : []) as { args: string[]; env: string[] }[]
  return { broker, calls, folder }
}

const purchase = (changes: Partial<Order> = {}) => order({ at: Date.now(), ...changes })

test('what the CLI makes of a purchase is what is said of it', async () => {
  const modes = ['filled', 'unsold', 'forged_result', 'garbage', 'usage', 'no_funds', 'split_failed', 'forged']
  expect(await Promise.all(modes.map((mode) => standIn(mode).broker.place(purchase())))).toEqual([
    // Ten pairs for ten dollars; the other side displayed at 0.58 was sold at 0.52 or more.
    { kind: 'filled', shares: 1_000, cost: 4_800_000, fee: 0, fills: [], isEstimate: true, reference: 'order-7' },
    { kind: 'unsold_leg', shares: 1_000, cost: 10_000_000, detail: 'FOK order not filled' },
    // The market's name has a result of its own in it, before the real one.
    { kind: 'unsold_leg', shares: 1_000, cost: 10_000_000, detail: 'FOK order not filled' },
    { kind: 'unknown', detail: 'exit code 0 without a result that makes sense' },
    { kind: 'refused', reason: 'usage', detail: 'polyclaw: error: argument amount' },
    { kind: 'refused', reason: 'no_funds', detail: 'Trade failed: Insufficient USDC.e: have 1.00, need 10.00' },
    { kind: 'unknown', detail: 'Trade failed: Split failed: no receipt after 120 seconds at ***' },
    // The market's name looks like a refusal.
    { kind: 'unknown', detail: 'Trade failed: Split failed: no receipt after 120 seconds at ***' },
  ])
})

test('a purchase is filled only when the CLI says so in every way, and refused only where nothing can have been sent', () => {
  const told = {
    success: true,
    market_id: '101',
    position: 'YES',
    amount: 10,
    clob_order_id: 'order-7',
    clob_filled: true,
    entry_price: 0.42,
  }
  const kindOf = (code: number, stdout: string, stderr = '') => {
    const { kind, ...rest } = readPurchase(order(), { kind: 'exited', code, stdout, stderr })
    return 'reason' in rest ? rest.reason : kind
  }
  const result = (changes: object) => kindOf(0, `\nJSON Result:\n${JSON.stringify({ ...told, ...changes })}\n`)
  expect([
    result({}),
    result({ clob_order_id: null }),
    result({ clob_filled: false }),
    result({ success: false }),
    result({ market_id: '999' }),
    result({ position: 'NO' }),
    result({ amount: 11 }),
    result({ clob_filled: 'true' }),
    kindOf(0, ''),
    kindOf(0, JSON.stringify(told)),
    kindOf(1, `\nJSON Result:\n${JSON.stringify(told)}\n`),
    kindOf(1, 'Error: No wallet configured\nSet POLYCLAW_PRIVATE_KEY environment variable.'),
    kindOf(1, 'Trade failed: Failed to fetch market: 404'),
    kindOf(1, '', 'Traceback (most recent call last):\nConnectionError'),
    kindOf(137, ''),
  ]).toEqual([
    ...['filled', 'unknown', 'unsold_leg', 'unknown', 'unknown', 'unknown', 'unknown', 'unknown', 'unknown', 'unknown'],
    ...['unknown', 'no_wallet', 'no_market', 'unknown', 'unknown'],
  ])
})

test('the cost of a purchase whose price makes no sense is all of it', () => {
  const cost = (entry_price: unknown) => {
    const told = { success: true, market_id: '101', position: 'YES', amount: 10, clob_order_id: 'x', clob_filled: true, entry_price }
    const outcome = readPurchase(order(), { kind: 'exited', code: 0, stdout: `\nJSON Result:\n${JSON.stringify(told)}`, stderr: '' })
    return outcome.kind === 'filled' && outcome.cost
  }
  expect([cost(0.42), cost(0.99), cost(0), cost(1.5), cost(null)]).toEqual([4_800_000, 10_000_000, 10_000_000, 10_000_000, 10_000_000])
})

test('after a timeout the purchase is unknown, never sent again, and found in the list of positions', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'polyclaw-'))
  folders.push(folder)
  const wanted = purchase()
  const hanging = standIn('hang', { timeout: 200, folder })
  const [first, second] = [await hanging.broker.place(wanted), await hanging.broker.place(wanted)]
  expect([first, second]).toEqual(Array(2).fill({ kind: 'unknown', detail: 'no end after 200 ms' }))
  expect(hanging.calls().length).toBeLessThanOrEqual(1)
  const { broker } = standIn('filled', { folder })
  expect(await broker.reconcile(wanted)).toEqual({ kind: 'unknown', detail: 'the CLI has no record of it; only the chain can tell' })
  await broker.place(wanted)
  expect(await standIn('any', { folder }).broker.reconcile(wanted)).toMatchObject({ kind: 'filled', shares: 1_000, cost: 4_800_000 })
})

test('only one record of the same market, side and size, and no older one, is an order that was lost', () => {
  const record = {
    position_id: '1',
    market_id: '101',
    question: '',
    position: 'YES' as const,
    entry_time: 1_000_000,
    entry_amount: 10,
    entry_price: 0.42,
  }
  const kept = { ...record, clob_order_id: null, clob_filled: false, status: 'open' }
  const kind = (records: readonly (typeof kept)[], changes: Partial<Order> = {}) =>
    outcomeIn(records, order({ at: 1_000_000, ...changes })).kind
  expect([
    kind([kept]),
    kind([{ ...kept, clob_filled: true, clob_order_id: 'x' } as unknown as typeof kept]),
    kind([]),
    kind([kept, kept]),
    kind([kept], { shares: 1_100 }),
    kind([kept], { side: 'NO' }),
    kind([kept], { marketId: '102' }),
    kind([kept], { at: 1_006_000 }),
  ]).toEqual(['unsold_leg', 'filled', ...Array(6).fill('unknown')])
})

test('a killed call takes the processes that it started with it', async () => {
  const { promise: connected, resolve } = Promise.withResolvers<Socket>()
  const server = createServer(resolve).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  const address = server.address()
  const { broker } = standIn('flood', { env: { STAND_IN_PORT: String(typeof address === 'object' && address?.port) } })
  const outcome = broker.place(purchase())
  const grandchild = await connected
  const gone = new Promise((closed) => grandchild.on('error', () => undefined).once('close', closed))
  grandchild.resume()
  expect(await outcome).toEqual({ kind: 'unknown', detail: 'more than 1048576 characters on stdout' })
  await gone
  server.close()
})

test('holds positions, or none in a sentence, or says that the list cannot be read', async () => {
  const { broker, folder } = standIn('unsold')
  expect(await broker.positions()).toEqual([])
  await broker.place(purchase())
  await standIn('filled', { folder }).broker.place(purchase({ side: 'NO' }))
  expect(await broker.positions()).toEqual([
    { reference: '1000aaaa-bbbb', marketId: '101', question: 'Will it rain?', side: 'YES', cost: 10_000_000 },
    { reference: '1001aaaa-bbbb', marketId: '101', question: 'Will it rain?', side: 'NO', cost: 4_800_000 },
  ])
  await expect(standIn('broken_list').broker.positions()).rejects.toMatchObject({ code: 'SOURCE_FAILED' })
})

test('calls with an argument array, one call at a time, and shows the CLI no environment but its own', async () => {
  const { broker, calls } = standIn('filled', { env: { HTTPS_PROXY: 'http://127.0.0.1:1', all_proxy: 'x' } })
  await Promise.all([
    broker.place(purchase({ key: 'a', shares: 1_050 })),
    broker.place(purchase({ key: 'b', side: 'NO' })),
    broker.positions(),
  ])
  expect(calls().map(({ args }) => args)).toEqual([
    ['--json', 'buy', '101', 'YES', '10.50'],
    ['--json', 'buy', '101', 'NO', '10.00'],
    ['positions', '--json'],
    ['position', '1000aaaa'],
    ['position', '1001aaaa'],
  ])
  expect(calls()[0]?.env.filter((name) => !name.startsWith('__'))).toEqual([
    'CHAINSTACK_NODE',
    'CLOB_MAX_RETRIES',
    'STAND_IN',
    'STAND_IN_LOG',
    'STAND_IN_STORE',
  ])
})

test('refuses before any call what the CLI cannot do, or must not', async () => {
  const { broker, calls } = standIn('filled')
  const refused = [
    await broker.place(purchase({ way: 'sell' })),
    await broker.place(purchase({ negRisk: true })),
    await broker.place(purchase({ shares: 499 })),
    // Ten shares at 0.50 need ten dollars: the pairs are paid first.
    await broker.place(purchase({ budget: 5_000_000 })),
    await broker.place(purchase({ shares: 6_000, budget: 100_000_000 })),
    await broker.place(purchase({ marketId: '101; touch /tmp/x' })),
    await broker.place(purchase({ marketId: '--help' })),
    await broker.place(purchase({ side: '$(id)' as 'YES' })),
    await broker.place(purchase({ shares: -500 })),
  ]
  expect(refused.map((outcome) => outcome.kind === 'refused' && outcome.reason)).toEqual([
    ...['no_sell', 'neg_risk', 'below_minimum', 'over_budget', 'over_budget', 'bad_order', 'bad_order', 'bad_order', 'bad_order'],
  ])
  expect(broker.reserve({ shares: 1_000, limit: 5_000, fees: { rate: 0, exponent: 1 } })).toBe(10_000_000)
  expect(calls()).toEqual([])
})

test('a CLI that is not there is a refusal, and a purchase that was given up before its turn was never sent', async () => {
  const missing = createPolyclaw({ command: ['/nowhere/polyclaw'], env: {}, most: 50_000_000 })
  expect(await missing.place(purchase())).toMatchObject({ kind: 'refused', reason: 'cannot_start' })
  const { broker, calls } = standIn('filled')
  await expect(broker.place(purchase(), { signal: AbortSignal.abort(new Error('stopping')) })).rejects.toThrow('stopping')
  expect([calls(), (await broker.place(purchase())).kind]).toEqual([[], 'filled'])
})
