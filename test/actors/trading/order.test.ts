import { expect, test } from 'vitest'
import type { Broker, Order, Outcome } from '../../../actors/lib/markets/broker.ts'
import { type Execution, readExecutions } from '../../../actors/lib/trading/execution.ts'
import { sendOnce } from '../../../actors/lib/trading/order.ts'
import type { TraderCtx } from '../../../actors/lib/trading/trader-args.ts'
import { ActorError } from '../../../src/actor.ts'

const order: Order = {
  ...{ key: 'k', at: 1, way: 'buy', marketId: '101', token: '1011', side: 'YES', negRisk: false },
  ...{ shares: 1_000, limit: 4_100, budget: 4_200_000, fees: { rate: 0, exponent: 1 }, whole: false },
}
const details = {
  broker: 'paper',
  source: 'simulated:1',
  strategy: 'model_opinion',
  probability: 0.7,
  basket: null,
  orders: [order],
  leg: 0,
}
const filled: Outcome = { kind: 'filled', shares: 1_000, cost: 4_000_000, fee: 0, fills: [], isEstimate: false }

/** A store that outlives the turns, and a broker that writes down what reaches it. */
function world() {
  const steps = new Map<string, { result?: unknown }>()
  const seen: string[] = []
  let stage = 'reserved'
  const execution = () => {
    const row = {
      id: 'e',
      opportunity_id: null,
      market_id: '101',
      event_id: null,
      side: 'YES',
      amount: 4.2,
      fees: 0,
      shares: null,
      details,
    }
    const times = { created_at: '2026-07-25T12:00:00Z', executed_at: null, executed_by: 'trader-1', error_message: null }
    return readExecutions([{ ...row, ...times, status: 'pending', stage }])[0] as Execution
  }
  const step = async (name: string, fn: () => Promise<unknown>) => {
    const known = steps.get(name)
    if (known && 'result' in known) return known.result
    if (known) throw new ActorError('STEP_UNKNOWN', `${name} was started before`)
    const mine: { result?: unknown } = {}
    steps.set(name, mine)
    mine.result = await fn()
    return mine.result
  }
  const call = async (_: string, args: { stage: string }) => {
    if (stage === args.stage) return { verdict: 'repeat' }
    if (stage === 'closed') return { verdict: 'stale', stage, status: 'failed' }
    stage = args.stage
    seen.push(stage)
    return { verdict: 'ok' }
  }
  const ctx = { step, db: { call }, signal: new AbortController().signal } as unknown as TraderCtx
  const broker = (place: () => Promise<Outcome>) => ({ place, reconcile: async () => seen.push('asked') && filled }) as unknown as Broker
  const release = () => {
    stage = 'closed'
  }
  return { ctx, seen, execution, broker, release, forget: () => steps.clear() }
}

test('an order is sent after it was written that it would be', async () => {
  const { ctx, seen, execution, broker } = world()
  const sent = broker(async () => {
    seen.push('sent')
    return filled
  })
  expect(await sendOnce(execution(), sent, ctx)).toEqual(filled)
  expect(await sendOnce(execution(), sent, ctx)).toEqual(filled)
  expect(seen).toEqual(['ordered', 'sent'])
})

test('an order whose end was lost is asked about, never sent again; nor by another trader that knows no step', async () => {
  const { ctx, seen, execution, broker, forget } = world()
  const dying = broker(async () => {
    seen.push('sent')
    throw new Error('the process dies here')
  })
  await expect(sendOnce(execution(), dying, ctx)).rejects.toThrow('dies here')
  expect(await sendOnce(execution(), dying, ctx)).toEqual(filled)
  forget()
  expect(await sendOnce(execution(), dying, ctx)).toEqual(filled)
  expect(seen).toEqual(['ordered', 'sent', 'unknown', 'asked', 'asked'])
})

test('of two traders that found the same order unsent one sends it, the other asks', async () => {
  const { ctx, seen, execution, broker, forget } = world()
  const [mine, other] = [execution(), execution()]
  const sending = broker(async () => {
    seen.push('sent')
    return filled
  })
  await sendOnce(mine, sending, ctx)
  forget()
  expect(await sendOnce(other, sending, ctx)).toEqual(filled)
  expect(seen).toEqual(['ordered', 'sent', 'asked'])
})

test('an order that another trader gave back unsent is not sent, and nobody is asked about it', async () => {
  const { ctx, seen, execution, broker, release } = world()
  const found = execution()
  release()
  const sent = broker(async () => filled)
  expect(await sendOnce(found, sent, ctx)).toMatchObject({ kind: 'refused', reason: 'released' })
  expect(seen).toEqual([])
})
