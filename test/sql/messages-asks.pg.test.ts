import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import { hostOf, limitAnswers, message, only, openTransaction, untilBlockedBy } from './host.ts'

const ask = (from: string, to: string, token: number, more: Record<string, unknown> = {}) =>
  message(from, to, { question: 1 }, { lease_token: token, send_key: 'm1/ask/answerer/note/1', ...more })

test('an ask across two nodes: sent at once, taken by the other, its reply read by the asker', async () => {
  await using db = await freshDatabase()
  const [n1, n2] = [hostOf(db.sql, 'n1'), hostOf(db.sql, 'n2')]
  const { asker = 0 } = await n1.hold('asker')
  const { answerer = 0 } = await n2.hold('answerer')
  const question = ask('asker', 'answerer', asker, { correlation_id: randomUUID(), expires_in_ms: 30_000 })
  expect(only(await n1.send({ messages: [question] }))).toMatchObject({
    verdict: 'ok',
    deliveries: [{ agent_id: 'answerer', stamped: false }],
  })
  expect(await n1.replies(question.id)).toEqual([{ id: question.id, status: 'waiting' }])
  const mail = only(await n2.take({ agent_id: 'answerer', lease_token: answerer }))
  expect(mail.messages).toMatchObject([{ id: question.id, from_agent: 'asker', body: '{"question":1}' }])
  await n2.commit({
    turns: [
      {
        agent_id: 'answerer',
        lease_token: answerer,
        message: { id: question.id, attempts: 0 },
        reply: { id: randomUUID(), to_agent: 'asker', body: '{"z":1,"a":2}' },
      },
    ],
  })
  const { replies } = await n1.commit({ turns: [], awaiting: [question.id] })
  expect(replies).toEqual([{ id: question.id, status: 'replied', reply: '{"z":1,"a":2}' }]) // the text itself: jsonb would reorder
  expect(only(await n1.take({ agent_id: 'asker', lease_token: asker })).messages).toEqual([]) // it goes to whoever waits
})

test('a repeated ask is the same message by its send_key, and gets the stored reply', async () => {
  await using db = await freshDatabase()
  const n1 = hostOf(db.sql)
  const { asker = 0, answerer = 0 } = await n1.hold('asker', 'answerer')
  const stamps = { answerer }
  const first = ask('asker', 'answerer', asker)
  await n1.send({ messages: [first], stamps })
  const again = () => n1.send({ messages: [ask('asker', 'answerer', asker)], stamps })
  expect(only(await again())).toMatchObject({ id: first.id, verdict: 'repeat', status: 'ready', deliveries: [{ stamped: true }] })
  const turn = (body: string) => ({
    agent_id: 'answerer',
    lease_token: answerer,
    message: { id: first.id, attempts: 0 },
    reply: { id: randomUUID(), to_agent: 'asker', body },
  })
  await n1.commit({ turns: [turn('42')] })
  expect(only(await again())).toMatchObject({
    id: first.id,
    verdict: 'repeat',
    status: 'done',
    reply: '42',
    deliveries: [{ stamped: false }],
  })
  // A reply is given once: the same turn again is a repeat, and one made by hand is not a second reply.
  expect(only((await n1.commit({ turns: [turn('43')] })).turns)).toMatchObject({ verdict: 'repeat' })
  const forged = only(await n1.send({ messages: [message('other', 'asker', 43, { reply_to: first.id })] }))
  expect(forged).toMatchObject({ verdict: 'repeat' })
  expect(await n1.replies(first.id)).toEqual([{ id: first.id, status: 'replied', reply: '42' }])
  // Keys are the sender's own.
  expect(only(await n1.send({ messages: [ask('answerer', 'asker', answerer)] })).verdict).toBe('ok')
})

test('two runs of one turn that ask at the same time send one message', async () => {
  await using db = await freshDatabase()
  const n1 = hostOf(db.sql)
  const { asker = 0 } = await n1.hold('asker', 'answerer')
  const one = ask('asker', 'answerer', asker)
  const open = await openTransaction(db.sql, (host) => host.send({ messages: [one] }))
  const second = n1.send({ messages: [ask('asker', 'answerer', asker)] })
  await untilBlockedBy(db.sql, open.pid)
  await open.end()
  expect(only(await second)).toMatchObject({ id: one.id, verdict: 'repeat', status: 'ready' })
})

test('read_replies tells every state of an ask', async () => {
  await using db = await freshDatabase()
  const n1 = hostOf(db.sql)
  const { a = 0 } = await n1.hold('a')
  const [waiting, done, replied, dead, dropped, stranger] = ['waiting', 'done', 'replied', 'dead', 'dropped', 'legacy'].map((name) =>
    message('asker', name === 'legacy' ? 'py' : 'a', name),
  ) as [ReturnType<typeof message>, ...ReturnType<typeof message>[]]
  await db.sql`insert into public.agent_status (agent_id, agent_name) values ('py', 'Py')`
  const all = [waiting, done, replied, dead, dropped, stranger].map((one) => one ?? message('asker', 'a'))
  await n1.send({ messages: all })
  await n1.take({ agent_id: 'a', lease_token: a })
  const at = (index: number) => ({ agent_id: 'a', lease_token: a, message: { id: all[index]?.id, attempts: 0 } })
  await n1.commit({
    turns: [
      at(1),
      { ...at(2), reply: { id: randomUUID(), to_agent: 'asker', body: 'null' } },
      { ...at(3), outcome: 'dead', reason: 'HANDLER_FAILED' },
      { ...at(4), outcome: 'dead', reason: 'ACTOR_DOWN' },
    ],
  })
  await n1.call('drop_messages', [{ id: all[4]?.id, agent_id: 'a' }])
  const nobody = randomUUID()
  const states = await n1.replies(...all.map(({ id }) => id), nobody)
  expect(states.map(({ status, reply, reason }) => [status, reply ?? reason])).toEqual([
    ['waiting', undefined],
    ['done', undefined],
    ['replied', 'null'],
    ['dead', 'HANDLER_FAILED'],
    ['dead', 'ACTOR_DOWN'],
    ['waiting', undefined],
    ['unknown', undefined],
  ])
  expect(await n1.replies()).toEqual([])
})

test('replies too large for one answer wait for the next call', async () => {
  await using db = await freshDatabase()
  await limitAnswers(db.sql, 3_000)
  const n1 = hostOf(db.sql)
  const asks = Array.from({ length: 8 }, () => message('asker', 'a'))
  await n1.send({ messages: asks })
  await n1.send({ messages: asks.slice(0, 7).map(({ id }) => message('a', 'asker', 'x'.repeat(998), { reply_to: id })) })
  const first = await n1.replies(...asks.map(({ id }) => id))
  expect(first.map(({ status, reply }) => [status, reply?.length])).toEqual([
    ...Array.from({ length: 3 }, () => ['replied', 1000]),
    ...Array.from({ length: 5 }, () => ['waiting', undefined]),
  ])
  expect((await n1.replies(...asks.slice(3).map(({ id }) => id))).filter(({ reply }) => reply)).toHaveLength(3)
})

test('in one call the stale senders are told, those without a lease of their own go out', async () => {
  await using db = await freshDatabase()
  const n1 = hostOf(db.sql)
  const { asker = 0 } = await n1.hold('asker', 'answerer')
  const tokens = [asker, asker + 1, null, String(asker)]
  const answers = await n1.send({
    messages: [...tokens.map((lease_token) => message('asker', 'answerer', null, { lease_token })), message('cli', 'answerer')],
  })
  expect(answers.map(({ verdict }) => verdict)).toEqual(['ok', 'stale', 'stale', 'stale', 'ok'])
  expect(await db.sql`select from public.agent_messages`).toHaveLength(2)
})
