import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findCycle } from '../../src/host/ask-cycle.ts'
import { createAsks } from '../../src/host/asks.ts'
import type { Store } from '../../src/store/store.ts'
import { createManualClock } from './manual-clock.ts'
import { openTestStore, startNode } from './path.ts'

let opened: Awaited<ReturnType<typeof openTestStore>>
beforeAll(async () => {
  opened = await openTestStore()
})
afterAll(() => opened?.[Symbol.asyncDispose]())

type Asker = { ask(to: string, type: string, body?: unknown, timeout?: number): Promise<unknown> }
const codeOf = async (asked: Promise<unknown>) => asked.then(String, (error: { code?: string }) => error.code)

test('DECISIONS 17: a circle is found in a chain, and among waits that cross', () => {
  const waits = [
    { from: 'b', to: 'c' },
    { from: 'c', to: 'a' },
    { from: 'c', to: 'd' },
  ]
  expect([
    findCycle({ from: 'a', to: 'a', chain: ['a'] }, []),
    findCycle({ from: 'c', to: 'a', chain: ['x', 'a', 'b', 'c'] }, []),
    findCycle({ from: 'a', to: 'b', chain: ['a'] }, waits),
    findCycle({ from: 'a', to: 'd', chain: ['a'] }, waits),
    findCycle({ from: 'd', to: 'b', chain: ['d'] }, waits),
  ]).toEqual([['a', 'a'], ['a', 'b', 'c', 'a'], ['a', 'b', 'c', 'a'], undefined, ['d', 'b', 'c', 'd']])
})

test('a reply that is looked for, and a store that does not answer, is asked for again now and then', async () => {
  const clock = createManualClock()
  const nudges: number[] = []
  const asks = createAsks({
    outbox: { send: async ({ id }) => ({ verdict: 'ok', id, deliveries: [] }), nudge: () => nudges.push(clock.now()) },
    // As node has timers: none rings at once.
    clock: { ...clock, after: (ms, callback) => clock.after(Math.max(1, ms), callback) },
    isLocal: () => false,
    isDown: () => false,
    random: () => 0.5,
  })
  const message = { id: 'q', to: 'b', type: 'price', body: 'null' }
  const asked = asks.ask({ from: 'a', chain: [], key: 'q', message, timeout: 1_000 })
  await clock.pass(550)
  const before = [...nudges]
  asks.replied([{ id: 'q', status: 'replied', reply: '1' }])
  await clock.pass(1_000)
  expect([before, nudges.length, await asked]).toEqual([[100, 200, 300, 400, 500], 5, { ok: true, value: '1' }])
})

describe('an ask', () => {
  test('DECISIONS 17: in a circle fails at once, by chain and when two cross', async () => {
    await using node = startNode(opened.store, 'n1')
    const both = Promise.withResolvers<void>()
    let waiting = 0
    const cross = (to: string) => async (_: unknown, ctx: Asker) => {
      waiting += 1
      if (waiting === 2) both.resolve()
      await both.promise
      return codeOf(ctx.ask(to, 'answer', null, 2_000))
    }
    const answer = () => 'answered'
    const back = (_: unknown, ctx: Asker) => codeOf(ctx.ask('a1', 'answer'))
    await node.start('a1', { receive: { answer, cross: cross('b1'), go: (_: unknown, ctx: Asker) => ctx.ask('b1', 'back') } })
    await node.start('b1', { receive: { answer, back, cross: cross('a1') } })
    const chained = await node.ask('a1', 'go')
    const crossed = await Promise.all([node.ask('a1', 'cross'), node.ask('b1', 'cross')])
    expect([chained, crossed.map((one) => (one.ok ? one.value : one.error)).toSorted()]).toEqual([
      { ok: true, value: '"ASK_CYCLE"' },
      ['"ASK_CYCLE"', '"answered"'],
    ])
  })

  test('that its turn did not wait for closes no circle', async () => {
    await using node = startNode(opened.store, 'n6')
    const gate = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const hurry = (_: unknown, ctx: Asker) => {
      void ctx.ask('b6', 'answer').catch(() => {})
      throw new Error('in a hurry')
    }
    const cross = async (_: unknown, ctx: Asker) => {
      begun.resolve()
      await gate.promise
      return codeOf(ctx.ask('a6', 'answer'))
    }
    const answer = () => 'answered'
    await node.start('b6', { receive: { answer, cross } })
    await node.start('a6', { receive: { answer, hurry } }, { maxAttempts: 1 })
    const crossed = node.ask('b6', 'cross')
    await begun.promise
    await node.ask('a6', 'hurry')
    gate.resolve()
    expect(await crossed).toEqual({ ok: true, value: '"answered"' })
  })

  test('ends: by its time, without an agent of that name, with one that is down', async () => {
    await using node = startNode(opened.store, 'n2', { isDown: (agent) => agent === 'parked' })
    const gate = Promise.withResolvers<void>()
    await node.start('a2', { receive: { slow: () => gate.promise } })
    const codes = await Promise.all(
      [node.ask('a2', 'slow', null, 150), node.ask('nobody', 'x', null, 150), node.ask('parked', 'x')].map(async (asked) => {
        const answer = await asked
        return answer.ok ? answer.value : answer.error.code
      }),
    )
    const open = node.ask('a2', 'slow')
    node.asks.down('a2')
    const down = await open
    gate.resolve()
    expect([codes, down]).toMatchObject([['ASK_TIMEOUT', 'ACTOR_NOT_FOUND', 'ACTOR_DOWN'], { ok: false, error: { code: 'ACTOR_DOWN' } }])
  })

  test('that failed is asked anew when its turn is repeated; one that was answered is not', async () => {
    await using node = startNode(opened.store, 'n3')
    const seen: string[] = []
    let isReady = false
    await node.start(
      'b3',
      {
        receive: {
          good: () => {
            seen.push('good')
            return 1
          },
          bad: () => {
            seen.push('bad')
            if (!isReady) throw new Error('not ready')
            return 2
          },
        },
      },
      { maxAttempts: 1 },
    )
    await node.start('a3', {
      receive: {
        async go(_: unknown, ctx: Asker & { attempt: number }) {
          const good = await ctx.ask('b3', 'good')
          isReady = ctx.attempt > 1
          return [good, await ctx.ask('b3', 'bad')]
        },
      },
    })
    expect([await node.ask('a3', 'go'), seen]).toEqual([{ ok: true, value: '[1,2]' }, ['good', 'bad', 'bad']])
  })

  test('that is asked anew is the same question in every later run of its turn', async () => {
    const asked = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    let runs = 0
    let timesAskedAnew = 0
    const store: Store = {
      ...opened.store,
      async call(name, args, options) {
        const answer = await opened.store.call(name, args, options)
        if (name === 'send_messages' && JSON.stringify(args).includes('~1"')) timesAskedAnew += 1
        if (timesAskedAnew === 2) gate.resolve()
        return answer
      },
    }
    await using node = startNode(store, 'n5')
    const slow = async () => {
      runs += 1
      if (runs === 1) throw new Error('not ready')
      asked.resolve()
      await gate.promise
      return 'at last'
    }
    await node.start('b5', { receive: { slow } }, { maxAttempts: 1 })
    await node.start('a5', { receive: { go: (_: unknown, ctx: Asker) => ctx.ask('b5', 'slow', null, 5_000) } })
    const reply = node.ask('a5', 'go')
    await asked.promise
    node.runners.get('a5')?.child.kill()
    expect([await reply, runs]).toEqual([{ ok: true, value: '"at last"' }, 2])
  })

  test('of an actor that starts again gets the reply that came meanwhile', async () => {
    await using node = startNode(opened.store, 'n4')
    const asked = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    let answers = 0
    await node.start('b4', {
      receive: {
        slow: async () => {
          asked.resolve()
          await gate.promise
          answers += 1
          return 'at last'
        },
      },
    })
    await node.start('a4', { receive: { go: (_: unknown, ctx: Asker) => ctx.ask('b4', 'slow') } })
    const reply = node.ask('a4', 'go')
    await asked.promise
    node.runners.get('a4')?.child.kill()
    await node.next('turn:failed')
    gate.resolve()
    expect([await reply, answers]).toEqual([{ ok: true, value: '"at last"' }, 1])
  })
})
