import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import { deliveries, type Host, hostOf, message, only } from './host.ts'

const verdict = async (host: Host, element: Record<string, unknown>) => only(await host.sync([{ agent_id: 'a', ...element }])).verdict

/** Two nodes that see the same moved clock. */
async function nodes(db: Database) {
  const [n1, n2] = [hostOf(db.connect({ max: 1 }), 'n1'), hostOf(db.connect({ max: 1 }), 'n2')]
  return { n1, n2, setClock: (offset: string) => Promise.all([n1.setClock(offset), n2.setClock(offset)]) }
}
const take = (host: Host, more: Record<string, unknown> = {}) => host.sync([{ agent_id: 'a', action: 'take', ...more }]).then(only)

describe('a lease', () => {
  test('11: is one node’s at a time; the other is told whose and for how long, and gets it when it has expired', async () => {
    await using db = await freshDatabase()
    const { n1, n2, setClock } = await nodes(db)
    expect(await take(n1)).toEqual({ agent_id: 'a', verdict: 'ok', lease_token: 1, state: null, supervision: {}, unclean: false })
    const busy = await take(n2)
    expect(busy).toEqual({ agent_id: 'a', verdict: 'busy', node_id: 'n1', expires_in_ms: expect.closeTo(15_000, -3) })
    await setClock('14 seconds')
    expect(await verdict(n1, { lease_token: 1 })).toBe('ok')
    await setClock('20 seconds')
    expect((await take(n2)).verdict).toBe('busy')
    await setClock('30 seconds')
    expect(await take(n2)).toMatchObject({ verdict: 'ok', lease_token: 2, unclean: true })
    for (const action of ['hold', 'release', 'retire']) expect(await verdict(n1, { action, lease_token: 1 })).toBe('stale')
    expect(await verdict(n1, { action: 'hold', lease_token: 2 })).toBe('stale') // the right token in the wrong hands
    expect(await db.sql`select node_id, lease_token from public.agent_leases`).toEqual([{ node_id: 'n2', lease_token: '2' }])
  })

  test('expired but not taken over is still its holder’s: to renew and to commit', async () => {
    await using db = await freshDatabase()
    const { n1, n2, setClock } = await nodes(db)
    const { lease_token } = await take(n1)
    await setClock('1 hour')
    const saved = await n1.commit({ turns: [{ agent_id: 'a', lease_token, state: { version: 0, value: '1' } }] })
    expect(only(saved.turns).verdict).toBe('ok')
    expect(await verdict(n1, { lease_token })).toBe('ok')
    expect((await take(n2)).verdict).toBe('busy')
  })

  test('taken again by its own node gets a new token, and what was in memory waits for the new incarnation', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const first = await take(n1)
    const note = message('s', 'a')
    await n1.send({ messages: [note], stamps: { a: first.lease_token } })
    const second = await take(n1)
    expect([second.lease_token, second.unclean]).toEqual([first.lease_token + 1, false])
    const old = await n1.commit({ turns: [{ agent_id: 'a', lease_token: first.lease_token, message: { id: note.id, attempts: 0 } }] })
    expect(only(old.turns).verdict).toBe('stale')
    expect(only(await n1.take({ agent_id: 'a', lease_token: second.lease_token })).messages).toMatchObject([
      { id: note.id, interruptions: 0 },
    ])
  })

  test('released is free at once, clean, and keeps state and supervision; a repeated release is a repeat', async () => {
    await using db = await freshDatabase()
    const { n1, n2 } = await nodes(db)
    const { lease_token } = await take(n1)
    const note = message('s', 'a')
    await n1.send({ messages: [note], stamps: { a: lease_token } })
    await n1.commit({ turns: [{ agent_id: 'a', lease_token, state: { version: 0, value: '{"n":1}' } }] })
    await verdict(n1, { lease_token, supervision: { exits: [1, 2] } })
    expect([await verdict(n1, { action: 'release', lease_token }), await verdict(n1, { action: 'release', lease_token })]).toEqual([
      'ok',
      'repeat',
    ])
    expect(await verdict(n1, { lease_token })).toBe('stale')
    const next = await take(n2)
    expect(next).toMatchObject({
      verdict: 'ok',
      lease_token: lease_token + 1,
      unclean: false,
      supervision: { exits: [1, 2] },
      state: { version: 1, value: '{"n":1}' },
    })
    expect(await verdict(n1, { action: 'release', lease_token })).toBe('stale')
    expect(only(await n2.take({ agent_id: 'a', lease_token: next.lease_token })).messages).toMatchObject([
      { id: note.id, interruptions: 0 },
    ])
  })

  test('of a newer config is not taken by a process with an older one', async () => {
    await using db = await freshDatabase()
    const { n1, n2, setClock } = await nodes(db)
    const { lease_token } = await take(n1, { spec_stamp: 20, spec_version: 'v2' })
    expect((await take(n2, { spec_stamp: 10 })).verdict).toBe('older')
    await setClock('1 hour')
    expect((await take(n2, { spec_stamp: 10 })).verdict).toBe('older')
    expect((await take(n2)).verdict).toBe('older')
    expect(await verdict(n1, { lease_token })).toBe('ok')
    await setClock('2 hours')
    expect((await take(n2, { spec_stamp: 20 })).verdict).toBe('ok')
  })

  test('retired: no broadcasts, what waits has an unknown address, an older config does not bring it back, a newer one does', async () => {
    await using db = await freshDatabase()
    const { n1, n2, setClock } = await nodes(db)
    const { lease_token } = await take(n1, { spec_stamp: 10 })
    const [held, later] = [message('s', 'a', 'held'), message('s', 'a', 'later')]
    await n1.send({ messages: [held], stamps: { a: lease_token } })
    const retire = { action: 'retire', lease_token, spec_stamp: 20 }
    expect([await verdict(n1, retire), await verdict(n1, retire)]).toEqual(['ok', 'repeat'])
    expect(only(await n1.send({ messages: [later] })).deliveries).toMatchObject([{ agent_id: 'a', unknown: true }])
    expect(only(await n1.send({ messages: [message('s', null)] })).deliveries).toEqual([])
    expect((await take(n2, { spec_stamp: 10 })).verdict).toBe('older')
    await setClock('23 hours')
    await n1.call('sweep_rows', {})
    const back = await take(n2, { spec_stamp: 30 })
    const mail = only(await n2.take({ agent_id: 'a', lease_token: back.lease_token }))
    expect(mail.messages.map(({ id }) => id)).toEqual([held.id, later.id])
    await verdict(n2, { action: 'retire', lease_token: back.lease_token })
    await setClock('48 hours')
    await n1.call('sweep_rows', {})
    expect((await deliveries(db.sql)).map(({ dead_reason }) => dead_reason)).toEqual(['unknown_address', 'unknown_address'])
  })
})

describe('15: interruptions', () => {
  const started = (db: Database, token: number, id: unknown, interruptions: number) =>
    hostOf(db.sql).commit({
      turns: [{ agent_id: 'a', lease_token: token, message: { id, attempts: 0, interruptions }, outcome: 'started' }],
    })

  test('count deaths in a run that was announced, which is no attempt then: dead at 10', async () => {
    await using db = await freshDatabase()
    const n0 = hostOf(db.sql, 'n0')
    const suspect = message('s', 'a', 'suspect')
    let { lease_token } = await take(n0)
    await n0.send({ messages: [suspect] })
    for (let n = 0; n < 10; n++) {
      await n0.take({ agent_id: 'a', lease_token })
      await started(db, lease_token, suspect.id, n)
      // What came in the meantime and is more urgent was not in hand.
      await n0.send({ messages: [{ ...message('s', 'a', 'urgent'), priority: 'urgent' }], stamps: { a: lease_token } })
      expect((await deliveries(db.sql))[0]).toMatchObject({ status: 'ready', attempts: 1, interruptions: n })
      lease_token = await takeOver(db, `n${n + 1}`)
    }
    expect((await deliveries(db.sql)).map(({ status, attempts, interruptions }) => [status, attempts, interruptions])).toEqual([
      ['dead', 0, 10],
      ...Array.from({ length: 10 }, () => ['ready', 0, 0]),
    ])
  })

  test('do not count what its own node begins again', async () => {
    await using db = await freshDatabase()
    const n0 = hostOf(db.sql, 'n0')
    const suspect = message('s', 'a', 'suspect')
    const { lease_token } = await take(n0)
    await n0.send({ messages: [suspect] })
    await n0.take({ agent_id: 'a', lease_token })
    await started(db, lease_token, suspect.id, 0)
    await take(n0)
    expect(await deliveries(db.sql)).toMatchObject([{ status: 'ready', attempts: 0, interruptions: 0 }])
  })

  /** Lets the holder die and another node take over; gives the new token. */
  async function takeOver(db: Database, node: string): Promise<number> {
    await db.sql`update public.agent_leases set lease_expires_at = clock_timestamp() - interval '1 s' where agent_id = 'a'`
    return (await take(hostOf(db.sql, node))).lease_token
  }
  const counts = async (db: Database) => (await deliveries(db.sql)).map(({ interruptions }) => interruptions)

  test('are counted at an unclean takeover, for the head of what was in memory, and dead at 10', async () => {
    await using db = await freshDatabase()
    const n0 = hostOf(db.sql, 'n0')
    let { lease_token } = await take(n0)
    await n0.send({ messages: [message('s', 'a', 'first'), message('s', 'a', 'second')] })
    lease_token = await takeOver(db, 'n1')
    expect(await counts(db)).toEqual([0, 0]) // nobody had them
    for (let n = 2; n <= 11; n++) {
      await n0.take({ agent_id: 'a', lease_token })
      lease_token = await takeOver(db, `n${n}`)
      expect(await counts(db)).toEqual([n - 1, 0])
    }
    expect(await deliveries(db.sql)).toMatchObject([
      { status: 'dead', dead_reason: 'interrupted', attempts: 0 },
      { status: 'ready', interruptions: 0 },
    ])
    await n0.take({ agent_id: 'a', lease_token })
    await takeOver(db, 'n12')
    expect(await counts(db)).toEqual([10, 1])
  })

  test('spare what was waiting for a retry, and what waited behind it', async () => {
    await using db = await freshDatabase()
    const n0 = hostOf(db.sql, 'n0')
    const { lease_token } = await take(n0)
    const failing = message('s1', 'a', 's1m1')
    await n0.send({ messages: [failing, message('s1', 'a', 's1m2'), message('s2', 'a', 's2m1')], stamps: { a: lease_token } })
    const retry = { agent_id: 'a', lease_token, message: { id: failing.id, attempts: 0 }, outcome: 'retry', retry_in_ms: 60_000 }
    await n0.commit({ turns: [retry] })
    await takeOver(db, 'n1')
    expect(await counts(db)).toEqual([0, 0, 1])
  })

  test('prefer an urgent message, which goes first', async () => {
    await using db = await freshDatabase()
    const n0 = hostOf(db.sql, 'n0')
    const { lease_token } = await take(n0)
    await n0.send({ messages: [message('s', 'a'), message('s', 'a', null, { priority: 'urgent' })], stamps: { a: lease_token } })
    await takeOver(db, 'n1')
    expect(await counts(db)).toEqual([0, 1])
  })
})

describe('what a node reports', () => {
  test('is upserted for the agents it holds, and for no others', async () => {
    await using db = await freshDatabase()
    const { n1, n2 } = await nodes(db)
    const { lease_token } = await take(n1, {
      agent_type: 'trader',
      agent_name: 'A',
      status: 'idle',
      capabilities: ['x'],
      version: 'v1',
      max_load: 3,
    })
    await n2.sync([
      { agent_id: 'a', action: 'take', status: 'error' },
      { agent_id: 'b', lease_token: 1, status: 'error' },
    ])
    await n1.call('create_jobs', [{ id: '00000000-0000-4000-8000-000000000001', job_type: 'report' }])
    await n1.sync([{ agent_id: 'a', lease_token, status: 'working', current_job: '00000000-0000-4000-8000-000000000001', current_load: 1 }])
    const [row] = await db.sql`select * from public.agent_status`
    expect(row).toMatchObject({
      agent_id: 'a',
      agent_name: 'a',
      agent_type: 'trader',
      status: 'working',
      current_job: '00000000-0000-4000-8000-000000000001',
      current_load: 1,
      capabilities: ['x'],
      version: 'v1',
    })
    await n1.sync([{ agent_id: 'a', lease_token, status: 'idle', current_job: randomUUID() }]) // a pruned job does not fail the heartbeat
    await n1.sync([{ agent_id: 'a', lease_token }])
    expect(await db.sql`select agent_id, status, current_job from public.agent_status`).toEqual([
      { agent_id: 'a', status: 'idle', current_job: null },
    ])
  })

  test('of trouble is broadcast once per change, the first one too, and has since when', async () => {
    await using db = await freshDatabase()
    const { n1, n2, setClock } = await nodes(db)
    const { coordinator } = await n2.hold('coordinator')
    const { lease_token } = await take(n1, { status: 'error', blocked_reason: 'cannot start' })
    const report = (status: string, blocked_reason?: string) => n1.sync([{ agent_id: 'a', lease_token, status, blocked_reason }])
    for (const status of ['error', 'error', 'idle', 'blocked', 'blocked', 'working', 'blocked']) {
      await report(status, status === 'blocked' ? 'no funds' : undefined)
    }
    const mail = only(await n2.take({ agent_id: 'coordinator', lease_token: coordinator }))
    expect(mail.messages.map(({ type, from_agent }) => [type, from_agent])).toEqual([
      ['Agent Error', 'a'],
      ['Agent Blocked', 'a'],
      ['Agent Blocked', 'a'],
    ])
    const since = () => db.sql`select blocked_since, last_heartbeat from public.agent_status`.then(only)
    const before = await since()
    await setClock('1 minute')
    await report('blocked', 'no funds')
    const after = await since()
    expect(after.blocked_since).toEqual(before.blocked_since)
    expect(after.last_heartbeat.getTime()).toBeGreaterThan(before.last_heartbeat.getTime() + 59_000)
    await report('idle')
    expect((await since()).blocked_since).toBeNull()
  })

  test('renews the leases of its jobs in the same call', async () => {
    await using db = await freshDatabase()
    const { n1, setClock } = await nodes(db)
    const { lease_token } = await take(n1)
    await n1.call('create_jobs', [{ job_type: 'report' }])
    const claimed = await n1.call<{ jobs: { job_id: string; lease_token: number }[] }[]>('claim_jobs', [
      { agent_id: 'a', lease_token, lease_ms: 1000 },
    ])
    const job = only(only(claimed).jobs)
    await setClock('10 seconds')
    const answer = await n1.call<{ jobs: unknown[] }>('sync_node', {
      node_id: 'n1',
      jobs: [
        { job_id: job.job_id, lease_token: job.lease_token, started: true },
        { job_id: job.job_id, lease_token: 0 },
      ],
    })
    expect(answer).toMatchObject({ agents: [], jobs: [{ verdict: 'ok' }, { verdict: 'stale' }] })
  })
})

test('bad input is refused by name, and changes nothing', async () => {
  await using db = await freshDatabase()
  const n1 = hostOf(db.sql)
  const good = { agent_id: 'good', action: 'take', status: 'idle' }
  const wrong: [string, Record<string, unknown>][] = [
    ['PT400', { agents: [good, { agent_id: 'a', action: 'steal' }] }],
    ['PT400', { agents: [good, { action: 'take' }] }],
    ['PT400', { agents: [good, good] }],
    ['23514', { agents: [good, { agent_id: 'a', action: 'take', mailbox_limit: 0 }] }],
    ['23514', { agents: [good, { agent_id: 'a', action: 'take', status: 'bored' }] }],
    ['22P02', { agents: [good, { agent_id: 'a', action: 'hold', lease_token: 'x' }] }],
    ['PT400', { agents: [good], lease_ms: 0 }],
    ['PT400', { agents: [good], node_id: '' }],
    ['PT400', { agents: [good], node_id: null }],
    ['22023', { agents: good }],
  ]
  for (const [code, batch] of wrong) {
    await expect(n1.call('sync_node', { node_id: 'n1', ...batch }), JSON.stringify(batch)).rejects.toMatchObject({ code })
  }
  expect(await db.sql`select from public.agent_leases`).toHaveLength(0)
  expect(await db.sql`select from public.agent_status`).toHaveLength(0)
})
