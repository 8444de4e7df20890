import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import { deliveries, type Host, hostOf, message, only, openTransaction, type Turn, untilBlockedBy } from './host.ts'

const balanceOf = (state: { value: string } | null) => (JSON.parse(state?.value ?? '{"balance":0}') as { balance: number }).balance

/** An account with 80 that must pay 30 twice; its holder is about to pay the first time. */
async function account(db: Database) {
  const n1 = hostOf(db.sql, 'n1')
  const { account: token = 0 } = await n1.hold('account', 'till')
  const first = message('till', 'account', { pay: 30 })
  const second = message('till', 'account', { pay: 30 })
  await n1.commit({
    turns: [{ agent_id: 'account', lease_token: token, state: { version: 0, value: '{"balance":80}' } }],
  })
  await n1.send({ messages: [first, second] })
  await n1.take({ agent_id: 'account', lease_token: token })
  const pay = (id: string, lease_token: number, version: number, balance: number): Turn => ({
    agent_id: 'account',
    lease_token,
    message: { id, attempts: 0 },
    state: { version, value: JSON.stringify({ balance: balance - 30 }) },
    messages: [message('account', 'till', { paid: 30, for: id })],
  })
  const expire = () =>
    db.sql`update public.agent_leases set lease_expires_at = lease_expires_at - interval '1 hour' where agent_id = 'account'`
  return { n1, token, first, second, pay, expire }
}

/** What a successor does: takes the lease, loads the state, pays what is still to be paid. */
async function payTheRest(
  db: Database,
  host: Host,
  taken: { lease_token: number; state: { version: number; value: string } | null },
  pay: Awaited<ReturnType<typeof account>>['pay'],
) {
  const mail = only(await host.take({ agent_id: 'account', lease_token: taken.lease_token }))
  let version = taken.state?.version ?? 0
  let balance = balanceOf(taken.state)
  for (const waiting of mail.messages) {
    const { turns } = await host.commit({ turns: [pay(waiting.id, taken.lease_token, version, balance)] })
    expect(only(turns).verdict).toBe('ok')
    version += 1
    balance -= 30
  }
  const [state] = await db.sql<{ value: string }[]>`select state as value from public.agent_state where agent_id = 'account'`
  const receipts = await db.sql<
    { for: string }[]
  >`select body::jsonb ->> 'for' as for from public.agent_messages where from_agent = 'account'`
  return { balance: balanceOf(state ?? null), receipts: receipts.map((row) => row.for).sort() }
}

describe('DECISIONS 3: a zombie’s commit racing a takeover', () => {
  test('the commit first: the takeover waits for it and goes on from its state', async () => {
    await using db = await freshDatabase()
    const { token, first, second, pay, expire } = await account(db)
    await expire()
    const zombie = await openTransaction(db.sql, (host) => host.commit({ turns: [pay(first.id, token, 1, 80)] }))
    const n2 = hostOf(db.sql, 'n2')
    const takeover = n2.sync([{ agent_id: 'account', action: 'take' }])
    await untilBlockedBy(db.sql, zombie.pid)
    await zombie.end()
    const taken = only(await takeover)
    expect(only(zombie.answer.turns).verdict).toBe('ok')
    expect(await payTheRest(db, n2, taken, pay)).toEqual({ balance: 20, receipts: [first.id, second.id].sort() })
  })

  test('the takeover first: the commit waits for it and is stale', async () => {
    await using db = await freshDatabase()
    const { n1, token, first, second, pay, expire } = await account(db)
    await expire()
    const takeover = await openTransaction(db.sql, (host) => host.sync([{ agent_id: 'account', action: 'take' }]), 'n2')
    const zombie = n1.commit({ turns: [pay(first.id, token, 1, 80)] })
    await untilBlockedBy(db.sql, takeover.pid)
    await takeover.end()
    expect(only((await zombie).turns)).toEqual({ verdict: 'stale', reason: 'lease' })
    expect(await payTheRest(db, hostOf(db.sql, 'n2'), only(takeover.answer), pay)).toEqual({
      balance: 20,
      receipts: [first.id, second.id].sort(),
    })
  })

  test('a state without a message to compare is fenced by the lease alone, in both orders', async () => {
    await using db = await freshDatabase()
    const { n1, token, expire } = await account(db)
    const save = (lease_token: number, version: number, balance: number): Turn => ({
      agent_id: 'account',
      lease_token,
      state: { version, value: JSON.stringify({ balance }) },
    })
    await expire()
    const before = await openTransaction(db.sql, (host) => host.commit({ turns: [save(token, 1, 50)] }))
    const waiting = hostOf(db.sql, 'n2').sync([{ agent_id: 'account', action: 'take' }])
    await untilBlockedBy(db.sql, before.pid)
    await before.end()
    const second = only(await waiting)
    expect(second.state).toEqual({ version: 2, value: '{"balance":50}' })

    await expire()
    const takeover = await openTransaction(db.sql, (host) => host.sync([{ agent_id: 'account', action: 'take' }]), 'n3')
    const late = n1.commit({ turns: [save(second.lease_token, 2, 0)] })
    await untilBlockedBy(db.sql, takeover.pid)
    await takeover.end()
    expect(only((await late).turns)).toEqual({ verdict: 'stale', reason: 'lease' })
    expect(only(takeover.answer).state).toEqual({ version: 2, value: '{"balance":50}' })
    expect(await db.sql`select version, state from public.agent_state`).toEqual([{ version: '2', state: '{"balance":50}' }])
  })
})

test('now-sends, steps and calls of a zombie wait for the takeover and are stale', async () => {
  await using db = await freshDatabase()
  const { n1, token, first, expire } = await account(db)
  await expire()
  const takeover = await openTransaction(db.sql, (host) => host.sync([{ agent_id: 'account', action: 'take' }]), 'n2')
  const at = { agent_id: 'account', lease_token: token, message_id: first.id, key: 'k' }
  const late = Promise.all([
    n1.send({ messages: [message('account', 'till', 'late', { lease_token: token })] }),
    n1.steps({ ...at, phase: 'start' }),
    n1.functions({ ...at, fn: 'sweep_rows', args: {} }),
    n1.take({ agent_id: 'account', lease_token: token }),
  ])
  await untilBlockedBy(db.sql, takeover.pid)
  await takeover.end()
  expect((await late).flat().map((answer) => answer.verdict)).toEqual(['stale', 'stale', 'stale', 'stale'])
  expect(await db.sql`select from public.agent_steps`).toHaveLength(0)
  expect(await db.sql`select from public.agent_messages where from_agent = 'account'`).toHaveLength(0)
})

test.each(['commit', 'send'] as const)('a row that a %s stamps for an incarnation is not lost to its successor', async (way) => {
  await using db = await freshDatabase()
  const n1 = hostOf(db.sql, 'n1')
  const { sender = 0, receiver = 0 } = await n1.hold('sender', 'receiver')
  await db.sql`update public.agent_leases set lease_expires_at = lease_expires_at - interval '1 hour' where agent_id = 'receiver'`
  const told = message('sender', 'receiver', 'for the first or the second')
  const stamps = { receiver }
  const sending = await openTransaction(db.sql, async (host) =>
    way === 'commit'
      ? only(
          (await host.commit({ turns: [{ agent_id: 'sender', lease_token: sender, turn_id: randomUUID(), messages: [told] }], stamps }))
            .turns,
        ).messages
      : host.send({ messages: [told], stamps }),
  )
  expect(sending.answer?.[0]?.deliveries[0]?.stamped).toBe(true)
  const n2 = hostOf(db.sql, 'n2')
  const takeover = n2.sync([{ agent_id: 'receiver', action: 'take' }])
  await untilBlockedBy(db.sql, sending.pid)
  await sending.end()
  const mail = only(await n2.take({ agent_id: 'receiver', lease_token: only(await takeover).lease_token }))
  expect(mail.messages.map(({ id }) => id)).toEqual([told.id])
})

test('a standby that asks for a lease does not wait for commits, nor they for it', async () => {
  await using db = await freshDatabase()
  const { n1, token, first, pay } = await account(db)
  const commit = await openTransaction(db.sql, (host) => host.commit({ turns: [pay(first.id, token, 1, 80)] }))
  const standby = await openTransaction(db.sql, (host) => host.sync([{ agent_id: 'account', action: 'take' }]), 'n2')
  expect(only(standby.answer)).toMatchObject({ verdict: 'busy', node_id: 'n1' })
  await commit.end()
  expect(only(await n1.sync([{ agent_id: 'account', lease_token: token }])).verdict).toBe('ok')
  await standby.end()
})

test('two nodes that register an agent at once: one has it, the other is told who', async () => {
  await using db = await freshDatabase()
  const first = await openTransaction(db.sql, (host) => host.sync([{ agent_id: 'new', action: 'take' }]), 'n1')
  const second = hostOf(db.sql, 'n2').sync([{ agent_id: 'new', action: 'take' }])
  await untilBlockedBy(db.sql, first.pid)
  await first.end()
  expect([only(first.answer), only(await second)]).toMatchObject([
    { verdict: 'ok', lease_token: 1 },
    { verdict: 'busy', node_id: 'n1' },
  ])
})

test('a commit, a poll and a heartbeat of the same agents in any order of names do not deadlock', async () => {
  await using db = await freshDatabase()
  const n1 = hostOf(db.sql, 'n1')
  const { a = 0, b = 0 } = await n1.hold('a', 'b')
  const tell = (): Turn => ({ agent_id: 'b', lease_token: b, turn_id: randomUUID(), messages: [message('b', 'a')] })
  const rounds = Array.from({ length: 40 }, () => [
    n1.commit({ turns: [tell()], stamps: { a }, refills: [{ agent_id: 'a', lease_token: a }] }),
    n1.take({ agent_id: 'b', lease_token: b }, { agent_id: 'a', lease_token: a }),
    n1.sync([
      { agent_id: 'b', lease_token: b, status: 'working' },
      { agent_id: 'a', lease_token: a, status: 'idle' },
    ]),
  ])
  const results = await Promise.allSettled(rounds.flat())
  expect(results.filter((result) => result.status === 'rejected')).toEqual([])
  expect(await deliveries(db.sql)).toHaveLength(40)
})
