import fc from 'fast-check'

// A plain model of trade_executions, in cents, against which random sequences of calls are compared.

export type Operation =
  | { kind: 'reserve'; key: string; market: string; cents: number; trader: string }
  | { kind: 'record'; key: string; stage: 'ordered' | 'unknown' | 'unsold_leg' | 'filled'; cents: number; shares: number }
  | { kind: 'settle'; key: string; price: number }
  | { kind: 'release'; key: string }
  | { kind: 'configure'; limit?: number; enabled?: boolean }
  | { kind: 'next_day' }

type Entry = {
  key: string
  market: string
  trader: string
  day: number
  amount: number
  stage: string
  status: string
  shares: number | undefined
  fees: number
  pnl: number | undefined
}

const key = fc.constantFrom('k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8')
const cents = fc.integer({ min: 1, max: 600 })

/** Any call that the functions of trades may get, some of them wrong at that moment. */
export const operations: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('reserve' as const),
      key,
      market: fc.constantFrom('m1', 'm2', 'm3', 'm4', 'm5', 'm6'),
      cents,
      trader: fc.constantFrom('trader-1', 'trader-2'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('record' as const),
      key,
      stage: fc.constantFrom('ordered' as const, 'unknown' as const, 'unsold_leg' as const, 'filled' as const),
      cents,
      shares: fc.integer({ min: 0, max: 20 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle' as const), key, price: fc.integer({ min: 0, max: 100 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('configure' as const), limit: fc.integer({ min: 0, max: 2500 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('configure' as const), enabled: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'next_day' as const }) },
)

const next: Record<string, readonly string[]> = {
  reserved: ['ordered', 'unknown', 'unsold_leg', 'filled'],
  ordered: ['unknown', 'unsold_leg', 'filled'],
  unknown: ['unsold_leg', 'filled'],
  unsold_leg: ['filled'],
}
const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)

/** A ledger of executions that keeps the rules of trading. */
export function createLedger() {
  const entries = new Map<string, Entry>()
  const config = { enabled: true, daily: 2000, position: 500 }
  let day = 0

  const today = () =>
    sum([...entries.values()].filter((entry) => entry.day === day && entry.status !== 'failed').map(({ amount }) => amount))
  const open = (market: string) =>
    sum(
      [...entries.values()]
        .filter((entry) => entry.market === market && ['pending', 'executed'].includes(entry.status))
        .map(({ amount }) => amount),
    )

  function reserve({ key, market, cents, trader }: Operation & { kind: 'reserve' }): string {
    if (entries.has(key)) return 'repeat'
    if (!config.enabled) return 'trading_disabled'
    if (open(market) + cents > config.position) return 'max_position_size'
    if (today() + cents > config.daily) return 'max_daily_exposure'
    const fresh = { stage: 'reserved', status: 'pending', shares: undefined, fees: 0, pnl: undefined }
    entries.set(key, { key, market, trader, day, amount: cents, ...fresh })
    return 'ok'
  }

  function record(entry: Entry, { stage, cents, shares }: Operation & { kind: 'record' }): string {
    if (entry.stage === stage) return 'repeat'
    if (!next[entry.stage]?.includes(stage)) return 'stale'
    if (cents > entry.amount) return 'PT400'
    const status = stage === 'filled' || stage === 'unsold_leg' ? 'executed' : 'pending'
    entries.set(entry.key, { ...entry, stage, status, amount: cents, shares, fees: 1 })
    return 'ok'
  }

  function settle(entry: Entry, price: number): string {
    if (entry.status === 'settled') return 'repeat'
    if (entry.status !== 'executed') return 'stale'
    if (entry.shares === undefined) return 'PT400'
    entries.set(entry.key, { ...entry, status: 'settled', stage: 'closed', pnl: entry.shares * price - entry.amount - entry.fees })
    return 'ok'
  }

  function release(entry: Entry): string {
    if (entry.status === 'failed') return 'repeat'
    if (entry.status !== 'pending') return 'stale'
    entries.set(entry.key, { ...entry, status: 'failed', stage: 'closed' })
    return 'ok'
  }

  function perform(operation: Operation): string {
    switch (operation.kind) {
      case 'next_day':
        day += 1
        return 'ok'
      case 'configure':
        config.daily = operation.limit ?? config.daily
        config.enabled = operation.enabled ?? config.enabled
        return 'ok'
      case 'reserve':
        return reserve(operation)
      case 'record':
        return withEntry(operation.key, (entry) => record(entry, operation))
      case 'settle':
        return withEntry(operation.key, (entry) => settle(entry, operation.price))
      case 'release':
        return withEntry(operation.key, release)
    }
  }

  function withEntry(key: string, act: (entry: Entry) => string): string {
    const entry = entries.get(key)
    return entry ? act(entry) : 'not_found'
  }

  const totals = () => {
    const sorted = [...entries.values()].sort((one, other) => (one.key < other.key ? -1 : 1))
    const profit = (trader: string) => sum(sorted.filter((entry) => entry.trader === trader).map(({ pnl }) => pnl ?? 0))
    return {
      day,
      executions: sorted.map(({ key, stage, status, amount, pnl }) => ({ key, stage, status, amount, pnl })),
      today: today(),
      open: open('m1'),
      profits: [profit('trader-1'), profit('trader-2')],
    }
  }

  return {
    perform,
    totals,
    get day() {
      return day
    },
  }
}
