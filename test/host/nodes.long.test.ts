import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fault, faultyStore } from './faulty-store.ts'
import { openTestStore, startNode } from './path.ts'

let opened: Awaited<ReturnType<typeof openTestStore>>
beforeAll(async () => {
  opened = await openTestStore()
})
afterAll(() => opened?.[Symbol.asyncDispose]())

const rows = async (sql: string) => (await opened.backend.query(sql)).rows
type Asker = { ask(to: string, type: string, body?: unknown, timeout?: number): Promise<unknown> }
const counter = {
  init: () => ({ state: [] }),
  receive: {
    add(body: unknown, ctx: { state: unknown }) {
      ctx.state = [...(ctx.state as unknown[]), body]
      return (ctx.state as unknown[]).length
    },
    list: (_: unknown, { state }: { state: unknown }) => state,
  },
}

describe('two processes', () => {
  test('tell and ask each other', async () => {
    await using here = startNode(opened.store, 'n1a')
    await using there = startNode(opened.store, 'n1b')
    await there.start('b1', { receive: { double: (n: number) => n * 2 } })
    await here.start('a1', { receive: { go: async (n: number, ctx: Asker) => ctx.ask('b1', 'double', n) } })
    expect(await there.ask('a1', 'go', 4)).toEqual({ ok: true, value: '8' })
  })

  test('one that vanishes is taken over with everything that was told: nothing is lost, nothing twice', async () => {
    const here = startNode(opened.store, 'n2a', { lease: 1_500 })
    await here.start('a2', counter)
    const told = Array.from({ length: 40 }, (_, n) => here.tell('a2', 'add', n))
    await here.next('turn:committed')
    await Promise.all(told)
    await here.vanish()
    await using there = startNode(opened.store, 'n2b', { lease: 1_500 })
    for (let isBusy = true; isBusy; )
      isBusy = await there.start('a2', counter).then(
        () => false,
        () => true,
      )
    const { value } = (await there.ask('a2', 'list')) as { value: string }
    expect(JSON.parse(value)).toEqual(Array.from({ length: 40 }, (_, n) => n))
  })

  test('one that lost its lease unawares writes nothing more, and hears of it', async () => {
    await using here = startNode(opened.store, 'n3a', { lease: 3_000 })
    await using there = startNode(opened.store, 'n3b')
    await here.start('a3', counter)
    await here.ask('a3', 'add', 'before')
    await opened.backend.query(`update agent_leases set lease_expires_at = now() - interval '1 minute' where agent_id = 'a3'`)
    const lost = here.next('lease:lost')
    await there.start('a3', counter)
    await lost
    expect([here.runners.has('a3'), await there.ask('a3', 'list')]).toEqual([false, { ok: true, value: '["before"]' }])
  })
})

test('DECISIONS 15: processes that die are an interruption of what was in hand, an attempt of nothing, and nobody behind it pays', async () => {
  const running = new Set<string>()
  const innocent: string[] = []
  let isCalm = false
  const actor = {
    receive: {
      async slow(_: unknown, { id, attempt }: { id: string; attempt: number }) {
        running.add(`${id} ${attempt}`)
        if (!isCalm) await new Promise(() => {})
        return attempt
      },
      note: (body: string) => void innocent.push(body),
    },
  }
  const counts = () => rows(`select d.status, d.attempts, d.interruptions from agent_deliveries d where d.agent_id = 'a8' order by d.seq`)
  const log: unknown[] = []
  let asked = ''
  for (const life of [1, 2, 3]) {
    const node = startNode(opened.store, `n8-${life}`)
    await node.start('a8', actor)
    if (life === 1) {
      asked = (await node.tell('a8', 'slow')).id
      await node.tell('a8', 'note', 'behind it', { from_agent: 'other' })
    }
    // From the second interruption on it runs alone, and its attempt is written down before.
    while (!running.has(`${asked} 1`)) await new Promise(setImmediate)
    running.clear()
    log.push(await counts())
    await node.vanish()
    await opened.backend.query(`update agent_leases set lease_expires_at = now() - interval '1 minute' where agent_id = 'a8'`)
  }
  isCalm = true
  await using node = startNode(opened.store, 'n8-last')
  const last = node.next('turn:committed', ({ type }) => type === 'note')
  await node.start('a8', actor)
  await last
  expect([log, await counts(), innocent]).toEqual([
    [0, 1, 2].map((interruptions) => [
      ['ready', interruptions < 2 ? 0 : 1, interruptions],
      ['ready', 0, 0],
    ]),
    [
      ['done', 1, 3],
      ['done', 0, 0],
    ],
    ['behind it'],
  ])
})

test('a stop that tells a turn to end counts nothing against its message, and what others sent is handled before it is tried again', async () => {
  const log: string[] = []
  let begun = Promise.withResolvers<void>()
  const actor = {
    receive: {
      async endless(_: unknown, { aborted }: { aborted: Promise<string> }) {
        log.push('endless')
        begun.resolve()
        throw new Error(await aborted)
      },
      note: (body: string) => void log.push(body),
    },
  }
  await using node = startNode(opened.store, 'n9')
  for (const life of [1, 2]) {
    begun = Promise.withResolvers()
    const { stop } = await node.start('a9', actor)
    if (life === 1) {
      await node.tell('a9', 'endless')
      await node.tell('a9', 'note', 'of another', { from_agent: 'other' })
    }
    await begun.promise
    await stop()
  }
  expect([log, await rows(`select status, attempts, interruptions from agent_deliveries where agent_id = 'a9' order by seq`)]).toEqual([
    ['endless', 'of another', 'endless'],
    [
      ['ready', 0, 0],
      ['done', 0, 0],
    ],
  ])
})

describe('a lease in doubt', () => {
  test('lets nothing start until somebody confirms it; what ran goes on', async () => {
    let fault: Fault = 'none'
    const store = faultyStore(opened.store, (name) => (name === 'sync_node' ? fault : 'none'))
    await using node = startNode(store, 'n4', { lease: 900 })
    const gate = Promise.withResolvers<void>()
    const { child } = await node.start('a4', { receive: { wait: () => gate.promise, note: () => 'noted' } })
    const running = node.ask('a4', 'wait')
    await node.tell('a4', 'note')
    fault = 'away'
    await node.next('lease:doubted')
    gate.resolve()
    const answer = await running
    const turns = () => child.received.filter(({ kind }) => kind === 'turn').length
    const during = turns()
    fault = 'none'
    await node.next('lease:confirmed')
    await node.ask('a4', 'note')
    expect([answer, during, turns()]).toEqual([{ ok: true, value: 'null' }, 1, 3])
  })
})

describe('a mailbox', () => {
  test('that fills up spills, and loses neither a message nor their order', async () => {
    await using node = startNode(opened.store, 'n5')
    await node.start('a5', counter, { mailbox: 8 })
    await node.start('s5', {
      receive: {
        burst(from: number, ctx) {
          for (let n = from; n < from + 10; n++) ctx.tell('a5', 'add', n)
        },
      },
    })
    for (let burst = 0; burst < 10; burst++) await node.tell('s5', 'burst', burst * 10)
    const expected = Array.from({ length: 100 }, (_, n) => n)
    await node.next('turn:committed', ({ id }) => id === 'a5')
    let got: unknown[] = []
    while (got.length < 100) got = JSON.parse(((await node.ask('a5', 'list')) as { value: string }).value)
    expect(got).toEqual(expected)
  })

  test('DECISIONS 13: that is full in the table makes its senders wait, and then goes on', async () => {
    await using node = startNode(opened.store, 'n6')
    const gate = Promise.withResolvers<void>()
    const got: number[] = []
    const all = Promise.withResolvers<void>()
    const take = async (n: number) => {
      await gate.promise
      got.push(n)
      if (got.length === 12) all.resolve()
    }
    await node.start('a6', { receive: { take } }, { limit: 5 })
    const sender = await node.start('s6', { receive: { send: (n: number, ctx) => ctx.tell('a6', 'take', n) } })
    for (let n = 0; n < 12; n++) await node.tell('s6', 'send', n)
    while ((await rows(`select count(*) from agent_deliveries where agent_id = 'a6'`))[0]?.[0] !== 5);
    gate.resolve()
    await all.promise
    expect([got, sender.incarnations]).toEqual([Array.from({ length: 12 }, (_, n) => n), 1])
  })

  test('gets what others insert, and hears of a hint before it looks', async () => {
    await using node = startNode(opened.store, 'n7', { poll: { min: 5_000, max: 5_000 } })
    await node.start('a7', { receive: { Check: () => {} } })
    await node.outbox.flush()
    await opened.backend.query(
      `insert into agent_messages (message_type, from_agent, to_agent, subject, content) values ('command', 'py', 'a7', 'Check', 'now')`,
    )
    const handled = node.next('turn:committed')
    node.router.wake('a7')
    expect(await handled).toMatchObject({ id: 'a7', type: 'Check' })
  })
})
