import { expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import { hostOf, only } from './host.ts'

/** An agent with a clock that the test moves; `poll` handles what has come and says what it was. */
async function clockwork(db: Database) {
  const n1 = hostOf(db.connect({ max: 1 }))
  const { a: token = 0 } = await n1.hold('a')
  let version = 0
  const set = async (...timers: Record<string, unknown>[]) => {
    const { turns } = await n1.commit({ turns: [{ agent_id: 'a', lease_token: token, state: { version: version++, value: '0' }, timers }] })
    return only(turns).verdict
  }
  const take = async () => only(await n1.take({ agent_id: 'a', lease_token: token }))
  const poll = async (offset: number) => {
    await n1.setClock(`${offset} milliseconds`)
    const { messages } = await take()
    await n1.commit({ turns: messages.map(({ id }) => ({ agent_id: 'a', lease_token: token, message: { id, attempts: 0 } })) })
    return messages.map(({ type, body }) => (body === 'null' ? type : `${type} ${body}`))
  }
  /** Milliseconds to the next tick, to the second. */
  const next = async () => {
    const { next_in_ms: left } = await take()
    return left === null || left === undefined ? left : Math.ceil(left / 1000) * 1000
  }
  return { n1, token, set, poll, next, take }
}

test('a periodic timer ticks, and once for all that it missed, without losing its phase', async () => {
  await using db = await freshDatabase()
  const { set, poll, next } = await clockwork(db)
  await set({ name: 'scan', type: 'scan', every_ms: 60_000 })
  expect([await poll(0), await next()]).toEqual([[], 60_000])
  expect(await poll(61_000)).toEqual(['scan'])
  expect(await poll(61_000)).toEqual([])
  expect(await poll(630_000)).toEqual(['scan']) // ten minutes away: nine missed ticks are one
  expect(await next()).toBe(30_000)
  expect(await poll(661_000)).toEqual(['scan'])
  expect(await db.sql`select fired from public.agent_timers`).toEqual([{ fired: '3' }])
})

test('an init that sets it again keeps its phase; another interval begins anew', async () => {
  await using db = await freshDatabase()
  const { set, poll, next } = await clockwork(db)
  const every = (every_ms: number, body?: string) => set({ name: 'scan', type: 'scan', every_ms, body })
  await every(60_000)
  await poll(45_000)
  await every(60_000, '"new"')
  expect(await next()).toBe(15_000)
  expect(await poll(61_000)).toEqual(['scan "new"'])
  await every(30_000)
  expect(await next()).toBe(30_000)
})

test('a timer for once fires once and is gone; setting it again moves it; cancelled it never comes', async () => {
  await using db = await freshDatabase()
  const { set, poll, next } = await clockwork(db)
  await set(
    { name: 'once', type: 'reminder', body: '{"n":1}', due_in_ms: 10_000 },
    { name: 'moved', type: 'moved', due_in_ms: 10_000 },
    { name: 'cancelled', type: 'cancelled', due_in_ms: 5_000 },
    { name: 'also', type: 'cancelled', every_ms: 1_000 },
  )
  await set({ name: 'moved', type: 'moved', due_in_ms: 20_000 }, { name: 'cancelled', cancel: true }, { name: 'also', cancel: true })
  expect(await poll(11_000)).toEqual(['reminder {"n":1}'])
  expect(await poll(21_000)).toEqual(['moved'])
  expect([await poll(90_000), await next()]).toEqual([[], null])
  expect(await db.sql`select from public.agent_timers`).toHaveLength(0)
})

test('a timer for once fires also when the last tick of the periodic one it replaces still waits', async () => {
  await using db = await freshDatabase()
  const { n1, set, take, next } = await clockwork(db)
  await set({ name: 'again', type: 'tick', every_ms: 1_000 })
  await n1.setClock('1100 milliseconds')
  const before = (await take()).messages
  await set({ name: 'again', type: 'reminder', due_in_ms: 1_000 })
  await n1.setClock('2200 milliseconds')
  const after = (await take()).messages
  expect([before.map(({ type }) => type), after.map(({ type }) => type), await next()]).toEqual([['tick'], ['reminder'], null])
})

test('a tick does not come while the one before it is unhandled: a slow actor is not flooded', async () => {
  await using db = await freshDatabase()
  const { n1, set, take, token } = await clockwork(db)
  await set({ name: 'tick', type: 'tick', every_ms: 1_000 })
  await n1.setClock('1100 milliseconds')
  const tick = only((await take()).messages)
  for (let second = 2; second < 8; second++) {
    await n1.setClock(`${second * 1000 + 100} milliseconds`)
    expect((await take()).messages).toEqual([])
  }
  await n1.commit({ turns: [{ agent_id: 'a', lease_token: token, message: { id: tick.id, attempts: 0 } }] })
  await n1.setClock('8100 milliseconds')
  expect((await take()).messages).toHaveLength(1)
})

test('timers are the agent’s, survive its incarnations, and nothing twice comes of a takeover', async () => {
  await using db = await freshDatabase()
  const { n1, set, take } = await clockwork(db)
  await set({ name: 'tick', type: 'tick', every_ms: 60_000 })
  await n1.setClock('61 seconds')
  const first = only((await take()).messages)
  const n2 = hostOf(db.connect({ max: 1 }), 'n2')
  await n2.setClock('2 minutes')
  const { a = 0 } = await n2.hold('a')
  const mail = only(await n2.take({ agent_id: 'a', lease_token: a }))
  expect(mail.messages).toMatchObject([{ id: first.id, interruptions: 1 }]) // the second tick is held back by the first
})

test('a full mailbox does not keep timers from firing, nor fail the poll', async () => {
  await using db = await freshDatabase()
  const { n1, set, poll } = await clockwork(db)
  await db.sql`update public.agent_leases set mailbox_limit = 1`
  await n1.send({ messages: [{ from_agent: 's', to_agent: 'a', type: 'in the way' }] })
  await set({ name: 'tick', type: 'tick', due_in_ms: 1 })
  expect(await poll(1000)).toEqual(['in the way', 'tick'])
})
