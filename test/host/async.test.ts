import { afterAll, beforeAll, expect, test } from 'vitest'
import type { HostFrame } from '../../src/core/frames.ts'
import { createFakeChild, type FakeContext } from './fake-child.ts'
import { faultyStore } from './faulty-store.ts'
import { openTestStore, startNode, type TestNode } from './path.ts'

let opened: Awaited<ReturnType<typeof openTestStore>>
beforeAll(async () => {
  opened = await openTestStore()
})
afterAll(() => opened?.[Symbol.asyncDispose]())

const rows = async (sql: string) => (await opened.backend.query(sql)).rows
const async = { durability: 'async' } as const
/** What may expire has to wait in the table. */
const inTable = { expires_in_ms: 60_000 }

/** The mail that an agent's thread has been given, in order. */
function mailOf(node: TestNode, agent: string): string[] {
  const frames = (node.runners.get(agent)?.child.received ?? []) as readonly HostFrame[]
  return frames.flatMap((frame) =>
    frame.kind === 'mail' ? frame.items.flatMap((item, index) => (index % 3 === 1 && item !== null ? [item] : [])) : [],
  )
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (const limit = Date.now() + 25_000; !(await isTrue()); ) {
    if (Date.now() > limit) throw new Error(`It did not come about: ${isTrue}`)
    await new Promise(setImmediate)
  }
}

test('mail of a commit goes to memory with a record in the table; mail of the table is settled there', async () => {
  await using node = startNode(opened.store, 'n1')
  await node.start('a1', { receive: { note: () => {} } }, async)
  await node.start('s1', { receive: { send: (n: number, ctx) => ctx.tell('a1', 'note', n) } })
  await node.tell('a1', 'note', 0, inTable)
  await until(() => mailOf(node, 'a1').length === 1)
  await until(async () => (await rows(`select count(*) from agent_deliveries where agent_id = 'a1' and status = 'done'`))[0]?.[0] === 1)
  for (const n of [1, 2, 3]) await node.tell('s1', 'send', n)
  await until(() => mailOf(node, 'a1').length === 4)
  expect([mailOf(node, 'a1'), await rows(`select status, token is null from agent_deliveries where agent_id = 'a1'`)]).toEqual([
    ['0', '1', '2', '3'],
    [
      ['done', false],
      ['done', true],
      ['done', true],
      ['done', true],
    ],
  ])
})

test('what an actor posts to one here is there at once, and written down behind it', async () => {
  await using node = startNode(opened.store, 'n2')
  await node.start('a2', { receive: { note: () => {} } }, async)
  const { child } = await node.start('s2', { receive: {} })
  await node.outbox.flush()
  for (let call = 1; call <= 500; call++) {
    const message = { id: crypto.randomUUID(), to: 'a2', type: 'note', body: String(call) }
    child.send({ kind: 'post', actor: 's2', call, message })
  }
  await until(() => mailOf(node, 'a2').length === 500)
  await node.outbox.flush()
  expect([
    mailOf(node, 'a2').map(Number),
    (await rows(`select status, count(*) from agent_deliveries where agent_id = 'a2' group by 1`))[0],
  ]).toEqual([Array.from({ length: 500 }, (_, index) => index + 1), ['done', 500]])
})

test('mail that fails is told, and dead if it has a row; mail that kills its thread is suspect', async () => {
  await using node = startNode(opened.store, 'n3')
  await node.start(
    'a3',
    {
      receive: {
        bad: () => {
          throw new Error('no')
        },
        poison: (_: unknown, ctx) => ctx.die(),
      },
    },
    async,
  )
  await node.tell('a3', 'bad', null, inTable)
  expect(await node.next('message:dead')).toMatchObject({ id: 'a3', type: 'bad', reason: 'attempts_exhausted' })
  await node.tell('a3', 'poison', null, inTable)
  await until(async () => (await rows(`select interruptions from agent_deliveries where agent_id = 'a3' order by seq`))[1]?.[0] === 10)
  expect(await rows(`select status, dead_reason from agent_deliveries where agent_id = 'a3' order by seq`)).toEqual([
    ['dead', 'attempts_exhausted'],
    ['dead', 'interrupted'],
  ])
})

test('whoever asks for what fails is told at once, and why', async () => {
  await using node = startNode(opened.store, 'n11')
  const bad = () => {
    throw new Error('no such thing')
  }
  await node.start('a11', { receive: { bad } }, async)
  const answer = await node.ask('a11', 'bad')
  expect(answer).toMatchObject({ ok: false, error: { code: 'HANDLER_FAILED', message: expect.stringContaining('no such thing') } })
})

test('a stop that its mail outlasts counts nothing against it', async () => {
  await using node = startNode(opened.store, 'n6')
  const begun = Promise.withResolvers<void>()
  const endless = () => {
    begun.resolve()
    return new Promise(() => {})
  }
  const { stop } = await node.start('a6', { receive: { endless } }, async)
  await node.tell('a6', 'endless', null, inTable)
  await begun.promise
  await stop()
  expect(await rows(`select status, interruptions from agent_deliveries where agent_id = 'a6'`)).toEqual([['ready', 0]])
})

test('a stop tells a job to end in time, though rows wait for a store that is away', async () => {
  let isAway = false
  const store = faultyStore(opened.store, (name) => (isAway && name === 'commit_turns' ? 'away' : 'none'))
  await using node = startNode(store, 'n10')
  const noting = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const working = Promise.withResolvers<void>()
  const told = Promise.withResolvers<string>()
  const note = () => {
    noting.resolve()
    return gate.promise
  }
  const work10 = async (_: unknown, { aborted }: FakeContext) => {
    working.resolve()
    told.resolve(await aborted)
  }
  const { desk } = await node.start('a10', { receive: { note }, run: { work10 } }, async)
  await node.tell('a10', 'note', null, inTable)
  await noting.promise
  isAway = true
  gate.resolve()
  await opened.store.call('create_jobs', { p_batch: [{ job_type: 'work10' }] })
  await working.promise
  desk.drain({ abortAfter: 10 })
  const code = await told.promise
  isAway = false
  await desk.settled
  expect([code, await rows(`select status from agent_deliveries where agent_id = 'a10'`)]).toEqual(['STOPPED', [['done']]])
})

test('mail that hangs is dead, its thread is ended for it, and nothing else is suspect', async () => {
  await using node = startNode(opened.store, 'n8')
  const receive = { note: () => {}, hang: (_: unknown, ctx: FakeContext) => ctx.hang() }
  const { child } = await node.start('a8', { receive }, async)
  // All of it is there before the first comes to the thread, which has it in one batch then.
  await opened.backend.query(`insert into agent_messages (message_type, from_agent, to_agent, subject, payload)
    select 'command', 'someone', 'a8', case n when 2 then 'hang' else 'note' end, to_jsonb(n) from generate_series(1, 3) n order by n`)
  const dead = await node.next('message:dead', ({ id }) => id === 'a8')
  expect([(await child.exited).exit, dead.error]).toEqual(['hung', 'TURN_TIMEOUT: too long'])
  const ended = () => rows(`select status, interruptions from agent_deliveries where agent_id = 'a8' order by seq`)
  await until(async () => (await ended())[2]?.[0] === 'done')
  expect(await ended()).toEqual([
    ['done', 0],
    ['dead', 0],
    ['done', 0],
  ])
})

test('mail that kills its thread costs none of those before it', async () => {
  await using node = startNode(opened.store, 'n9')
  const receive = { note: () => {}, poison: (_: unknown, ctx: FakeContext) => ctx.die() }
  await node.start('a9', { receive }, async)
  await opened.backend.query(`insert into agent_messages (message_type, from_agent, to_agent, subject, payload)
    select 'command', 'someone', 'a9', case n when 3 then 'poison' else 'note' end, to_jsonb(n) from generate_series(1, 4) n order by n`)
  const ends = () => rows(`select status, dead_reason from agent_deliveries where agent_id = 'a9' order by seq`)
  await until(async () => (await ends()).every(([status]) => status !== 'ready'))
  expect(await ends()).toEqual([
    ['done', null],
    ['done', null],
    ['dead', 'interrupted'],
    ['done', null],
  ])
})

test('a burst of a hundred thousand is handled, all of it', async () => {
  await using node = startNode(opened.store, 'n4')
  await node.start('a4', { receive: { note: () => {} } }, { ...async, mailbox: 1_000_000 })
  await node.outbox.flush()
  const from = createFakeChild('x', {})
  const message = { to_agent: 'a4', type: 'note', body: '{"n":1}' }
  for (let n = 0; n < 100_000; n++) node.router.burst(message, String(from.incarnation))
  await until(() => node.runners.get('a4')?.desk.report().mailbox === 0)
})

test('mail that waits in the table comes as fast as it is settled, without waiting for a poll', async () => {
  const insert = `insert into agent_messages (message_type, from_agent, to_agent, subject, payload)
    select 'command', 'someone', 'a5', 'note', to_jsonb(n) from generate_series(1, 200) n order by n`
  await opened.backend.query(insert)
  await using node = startNode(opened.store, 'n5', { poll: { min: 60_000, max: 60_000 } })
  await node.start('a5', { receive: { note: () => {} } }, { ...async, mailbox: 70 })
  await until(() => mailOf(node, 'a5').length === 200)
  expect(mailOf(node, 'a5').map(Number)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1))
})
