import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FakeEnding } from './fake-child.ts'
import { openTestStore, startNode } from './path.ts'

let opened: Awaited<ReturnType<typeof openTestStore>>
beforeAll(async () => {
  opened = await openTestStore()
})
afterAll(() => opened?.[Symbol.asyncDispose]())

const rows = async (sql: string) => (await opened.backend.query(sql)).rows
const deliveries = (agent: string) =>
  rows(`select status, attempts, interruptions, dead_reason from agent_deliveries where agent_id = '${agent}' order by seq`)
const noted = () => {
  const list: unknown[] = []
  return { list, note: (body: unknown) => void list.push(body) }
}

describe('a message', () => {
  test('tells on: what a turn sends arrives with its commit, state is kept', async () => {
    await using node = startNode(opened.store, 'n1')
    const got: unknown[] = []
    const all = Promise.withResolvers<void>()
    await node.start('b1', {
      receive: {
        note: (body, { from }) => {
          got.push([from, body])
          if (got.length === 3) all.resolve()
        },
      },
    })
    await node.start('a1', {
      init: () => ({ state: { count: 0 } }),
      receive: {
        go(body: number, ctx) {
          const { count } = ctx.state as { count: number }
          ctx.state = { count: count + 1 }
          ctx.tell('b1', 'note', { count, body })
        },
      },
    })
    for (const n of [1, 2, 3]) await node.tell('a1', 'go', n)
    await all.promise
    await node.outbox.flush()
    expect(got).toEqual([0, 1, 2].map((count) => ['a1', { count, body: count + 1 }]))
    expect(await rows(`select state, version from agent_state where agent_id = 'a1'`)).toEqual([['{"count":3}', 4]])
    expect(await rows(`select status, count(*) from agent_deliveries where agent_id in ('a1', 'b1') group by 1`)).toEqual([['done', 6]])
  })

  test('is tried again, and dead after its last attempt, for whoever asked too', async () => {
    await using node = startNode(opened.store, 'n2')
    const attempts: number[] = []
    await node.start('a2', {
      receive: {
        bad(_: unknown, { attempt }) {
          attempts.push(attempt)
          throw new FakeEnding('never', { retryIn: 5 })
        },
      },
    })
    const answer = await node.ask('a2', 'bad')
    expect({ attempts, answer }).toMatchObject({
      attempts: [1, 2, 3],
      answer: { ok: false, error: { code: 'HANDLER_FAILED', message: expect.stringContaining('attempts_exhausted') } },
    })
    expect(await rows(`select status, attempts, dead_reason, error from agent_deliveries where agent_id = 'a2'`)).toEqual([
      ['dead', 3, 'attempts_exhausted', 'HANDLER_FAILED: never'],
    ])
    expect(node.log.map(({ name }) => name).filter((name) => /turn|message/.test(name))).toEqual([
      'turn:failed',
      'turn:failed',
      'turn:failed',
      'message:dead',
    ])
  })

  test('DECISIONS 11: that waits for its retry holds back its sender only', async () => {
    await using node = startNode(opened.store, 'n3')
    const log: unknown[] = []
    const finished = Promise.withResolvers<void>()
    await node.start('a3', {
      receive: {
        note(body: string, { attempt }) {
          if (body === 's1m1' && attempt < 3) throw new FakeEnding('not yet', { retryIn: 60 })
          log.push(body)
          if (log.length === 3) finished.resolve()
        },
      },
    })
    const send = (from_agent: string, body: string) => node.tell('a3', 'note', body, { from_agent })
    await Promise.all([send('s1', 's1m1'), send('s1', 's1m2'), send('s2', 's2m1')])
    await finished.promise
    expect(log).toEqual(['s2m1', 's1m1', 's1m2'])
  })

  test('a timer of init comes by itself', async () => {
    await using node = startNode(opened.store, 'n4')
    const ticks = Promise.withResolvers<void>()
    let count = 0
    await node.start('a4', {
      init: () => ({ timers: [{ name: 'tick', type: 'tick', body: '1', every: 30, dueIn: 30 }] }),
      receive: {
        tick: () => {
          count += 1
          if (count === 3) ticks.resolve()
        },
      },
    })
    await ticks.promise
    expect(count).toBeGreaterThanOrEqual(3)
  })

  test('expired unread is dead', async () => {
    await using node = startNode(opened.store, 'n5')
    const gate = Promise.withResolvers<void>()
    const { list, note } = noted()
    await node.start('a5', { receive: { wait: () => gate.promise, note } })
    await node.tell('a5', 'wait')
    await node.tell('a5', 'note', 'late', { expires_in_ms: 30 })
    await node.tell('a5', 'note', 'in time')
    await new Promise((resolve) => node.clock.after(60, () => resolve(undefined)))
    const dead = node.next('message:dead')
    gate.resolve()
    expect(await dead).toMatchObject({ id: 'a5', reason: 'expired' })
    await node.ask('a5', 'note', 'last')
    expect(list).toEqual(['in time', 'last'])
  })
})

describe('what leaves at once', () => {
  test('a repeated turn gets the results of its steps, calls and asks again', async () => {
    await using node = startNode(opened.store, 'n6')
    const runs: string[] = []
    await node.start('b6', {
      receive: {
        double: (n: number) => {
          runs.push('double')
          return n * 2
        },
      },
    })
    await node.start('a6', {
      receive: {
        async work(_: unknown, ctx) {
          const step = await ctx.step('one', () => {
            runs.push('step')
            return { made: 1 }
          })
          const asked = await ctx.ask('b6', 'double', 21)
          await ctx.tellNow('b6', 'double', 1)
          if (ctx.attempt === 1) throw new FakeEnding('once more', { retryIn: 1 })
          return { step, asked }
        },
      },
    })
    const answer = await node.ask('a6', 'work')
    expect({ answer, runs: runs.toSorted() }).toEqual({
      answer: { ok: true, value: '{"step":{"made":1},"asked":42}' },
      runs: ['double', 'double', 'step'],
    })
    await node.outbox.flush()
    expect(await rows(`select count(*) from agent_steps where agent_id = 'a6'`)).toEqual([[0]])
  })

  test('functions and views of the list, and no others', async () => {
    await using node = startNode(opened.store, 'n7')
    const sql = ['record_performance', 'v_agent_dashboard']
    const actor = {
      receive: {
        async good(_: unknown, ctx: Parameters<NonNullable<Parameters<typeof node.start>[1]['receive']>[string]>[1]) {
          const called = await ctx.call('record_performance', { period: 'daily' })
          const rows = (await ctx.read('v_agent_dashboard', { agent_id: 'a7' }, { limit: 5 })) as object[]
          return { called, rows: rows.length }
        },
        bad: (_: unknown, ctx: { call(fn: string, args: object): Promise<unknown> }) => ctx.call('expire_opportunities', {}),
        wrong: (_: unknown, ctx: { read(relation: string, filter: object): Promise<unknown> }) =>
          ctx.read('v_agent_dashboard', { nonsense: 1 }),
      },
    }
    await node.start('a7', actor, { maxAttempts: 1 }, sql)
    expect(await node.ask('a7', 'good')).toMatchObject({ ok: true, value: expect.stringContaining('"called"') })
    expect(await node.ask('a7', 'bad')).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining('is not in the actor file') },
    })
    expect(await node.ask('a7', 'wrong')).toMatchObject({ ok: false, error: { cause: { code: 'STORE_FAILED' } } })
  })

  test('an ask goes out after the turns before it are committed', async () => {
    await using node = startNode(opened.store, 'n8')
    const seen: unknown[] = []
    await node.start('b8', { receive: { count: async () => (await deliveries('a8')).filter(([status]) => status === 'done').length } })
    await node.start('a8', {
      receive: {
        note: () => {},
        async look(_: unknown, ctx) {
          seen.push(await ctx.ask('b8', 'count'))
        },
      },
    })
    await Promise.all([...Array.from({ length: 20 }, () => node.tell('a8', 'note')), node.ask('a8', 'look')])
    expect(seen).toEqual([20])
  })

  test('a message from outside of any turn is durable when it is answered', async () => {
    await using node = startNode(opened.store, 'n9')
    const { list, note } = noted()
    const { child } = await node.start('a9', { receive: { note } })
    const message = { id: crypto.randomUUID(), to: 'a9', type: 'note', body: '"posted"' }
    for (const call of [1, 2]) child.send({ kind: 'post', actor: 'a9', call, message })
    await node.next('turn:committed', ({ id }) => id === 'a9')
    await node.ask('a9', 'note', 'after')
    expect([list, child.received.filter(({ kind }) => kind === 'answer').map((frame) => 'answer' in frame && frame.answer)]).toEqual([
      ['posted', 'after'],
      [
        { ok: true, value: null },
        { ok: true, value: null },
      ],
    ])
  })
})

test('of a turn that was handed and taken back nothing is kept: it is answered no more', async () => {
  await using node = startNode(opened.store, 'n13')
  const { list, note } = noted()
  const gate = Promise.withResolvers<void>()
  const fail = async () => {
    await gate.promise
    throw new FakeEnding('no', { isFinal: true })
  }
  const { child } = await node.start('a13', { receive: { note, fail } })
  await node.ask('a13', 'note', 'quick')
  await node.tell('a13', 'fail')
  await node.tell('a13', 'note', 'behind')
  const [handed] = child.received.flatMap((frame) => (frame.kind === 'turn' && frame.after !== undefined ? [frame.turn] : []))
  gate.resolve()
  await node.ask('a13', 'note', 'last')
  child.send({ kind: 'use', actor: 'a13', turn: handed ?? 0, call: 1, service: 'llm', input: null })
  await node.ask('a13', 'note', 'after')
  expect([list, handed, child.received.filter(({ kind }) => kind === 'used')]).toEqual([['quick', 'behind', 'last', 'after'], 3, []])
})

describe('a thread that dies', () => {
  test('with the same message three times: that is dead, the actor comes up, nothing else is lost (case 97, DECISIONS 15)', async () => {
    await using node = startNode(opened.store, 'n10')
    const { list, note } = noted()
    await node.start('a10', { receive: { note, poison: (_: unknown, ctx) => ctx.die() } })
    const poisoned = node.next('message:dead')
    await Promise.all([node.tell('a10', 'note', 1), node.tell('a10', 'poison'), node.tell('a10', 'note', 2, { from_agent: 'other' })])
    expect(await poisoned).toMatchObject({ id: 'a10', reason: 'poison', error: expect.stringContaining('ACTOR_CRASHED') })
    await node.ask('a10', 'note', 3)
    expect([list.toSorted(), node.runners.get('a10')?.incarnations]).toEqual([[1, 2, 3], 4])
    expect((await deliveries('a10')).filter(([status]) => status === 'dead')).toEqual([['dead', 3, 0, 'poison']])
  })

  test('leaves the turns that had ended as they are', async () => {
    await using node = startNode(opened.store, 'n11')
    const { list, note } = noted()
    let dies = true
    await node.start('a11', {
      init: () => ({ state: 0 }),
      receive: {
        add: (_: unknown, ctx) => {
          ctx.state = (ctx.state as number) + 1
        },
        note,
        dieOnce(_: unknown, ctx) {
          if (!dies) return ctx.state
          dies = false
          return ctx.die('out_of_memory')
        },
      },
    })
    await Promise.all(Array.from({ length: 10 }, () => node.tell('a11', 'add')))
    expect(await node.ask('a11', 'dieOnce')).toEqual({ ok: true, value: '10' })
    expect([list, (await deliveries('a11')).at(-1)]).toEqual([[], ['done', 1, 0, null]])
  })
})

describe('a turn that does not stand', () => {
  test('counts as thrown, and what was built on it is handled again', async () => {
    await using node = startNode(opened.store, 'n12')
    let isBad = true
    await node.start(
      'a12',
      {
        init: () => ({ state: [] }),
        receive: {
          note(body: string, ctx) {
            ctx.state = [...(ctx.state as string[]), body]
            if (body === 'two' && isBad) {
              isBad = false
              ctx.write('publish_opportunity', { opportunity: { market_id: 'm', side: 'MAYBE' } })
            }
          },
        },
      },
      {},
      ['publish_opportunity'],
    )
    await Promise.all(['one', 'two', 'three'].map((body) => node.tell('a12', 'note', body)))
    await node.ask('a12', 'note', 'four')
    expect(node.log.filter(({ name }) => name === 'turn:rejected')).toHaveLength(1)
    expect(await rows(`select state from agent_state where agent_id = 'a12'`)).toEqual([['["one","two","three","four"]']])
  })
})
