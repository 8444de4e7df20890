import { afterAll, beforeAll, expect, test } from 'vitest'
import { faultyStore } from './faulty-store.ts'
import { openTestStore, startNode } from './path.ts'

let opened: Awaited<ReturnType<typeof openTestStore>>
beforeAll(async () => {
  opened = await openTestStore()
})
afterAll(() => opened?.[Symbol.asyncDispose]())

/** A row as somebody with a SQL prompt may leave it. */
const insert = (to: string, columns: string, values: string) =>
  opened.backend.query(`insert into agent_messages (message_type, from_agent, to_agent, subject, ${columns})
    values ('command', 'someone', '${to}', 'note', ${values})`)

test.each([
  ['a body larger than Troupe would write', 'payload', `jsonb_build_object('text', repeat('x', 1200000))`],
  ['a body that is not JSON', 'body', `'{"n": 1'`],
  ['a time without end', 'created_at', `'infinity'`],
  ['an end that never comes', 'expires_at', `'infinity'`],
  ['nothing but a type', 'payload', 'null'],
])('a row with %s holds up neither its receiver nor anybody else', async (_, column, value) => {
  const to = `odd-${column}-${value.length}`
  await insert(to, column, value)
  await using node = startNode(opened.store, to)
  const got: string[] = []
  const note = (body: unknown) => void got.push(typeof body)
  await node.start('neighbour', { receive: { hi: () => 'hello' } })
  await node.start(to, { receive: { note, hi: () => got.length } }, { maxAttempts: 1 })
  const ended = await Promise.race([node.next('turn:committed', ({ id, type }) => id === to && type === 'note'), node.next('message:dead')])
  expect([ended.id, await node.ask('neighbour', 'hi'), (await node.ask(to, 'hi')).ok]).toEqual([to, { ok: true, value: '"hello"' }, true])
})

test('an agent whose mail the database cannot give holds up nobody else', async () => {
  const broken = faultyStore(opened.store, () => 'none')
  const store = {
    ...broken,
    call: (async (name, args, options) => {
      const refills = (args as { p_batch: { refills?: readonly { agent_id: string }[] } }).p_batch.refills ?? []
      if (name === 'commit_turns' && refills.some(({ agent_id }) => agent_id === 'sick'))
        await broken.call('record_performance', { p_period: 'never' } as never)
      return broken.call(name, args, options)
    }) as typeof broken.call,
  }
  await insert('sound', 'content', `'for the sound one'`)
  await using node = startNode(store, 'n2')
  await node.start('sick', { receive: { note: () => {} } })
  await node.start('sound', { receive: { note: () => {} } })
  expect(await node.next('turn:committed')).toMatchObject({ id: 'sound', type: 'note' })
})
