import { describe, expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import { deliveries, type Host, hostOf, insist, limitAnswers, message, only, openTransaction, type Taken } from './host.ts'
import { insert } from './rest.ts'

const bodies = (taken: Taken | undefined) => (taken?.messages ?? []).map(({ body }) => JSON.parse(body) as unknown)
const ids = (taken: Taken | undefined) => (taken?.messages ?? []).map(({ id }) => id)

/** A host that holds agents of these names, and takes their mail by name. */
async function mailboxes(host: Host, ...agents: string[]) {
  const tokens = await host.hold(...agents)
  return {
    tokens,
    take: async (agent_id: string, more: Record<string, unknown> = {}) =>
      only(await host.take({ agent_id, lease_token: tokens[agent_id], ...more })),
    done: (agent_id: string, id: string, attempts = 0) =>
      host.commit({ turns: [{ agent_id, lease_token: tokens[agent_id] ?? 0, message: { id, attempts } }] }),
  }
}

describe('broadcasts', () => {
  test('41: a broadcast reaches each registered agent once, the offline one too, and never its sender', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { take } = await mailboxes(n1, 'sender', 'online')
    const gone = hostOf(db.sql, 'n2')
    const { offline } = await gone.hold('offline')
    await gone.sync([{ agent_id: 'offline', lease_token: offline, action: 'release' }])
    const news = message('sender', null, 'news')
    await n1.send({ messages: [news] })
    expect([ids(await take('online')), ids(await take('online')), ids(await take('sender'))]).toEqual([[news.id], [], []])
    const back = await mailboxes(n1, 'offline')
    expect([ids(await back.take('offline')), ids(await back.take('offline'))]).toEqual([[news.id], []])
  })

  test('42: an agent that registers later does not get old broadcasts', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    await n1.hold('sender')
    await n1.send({ messages: [message('sender', null)] })
    const { take } = await mailboxes(n1, 'late')
    expect(ids(await take('late'))).toEqual([])
  })

  test('43: what one agent has handled the others still have, and legacy readers too', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { take, done } = await mailboxes(n1, 'a', 'b')
    const news = message('outside', null, 'news')
    await n1.send({ messages: [news] })
    await take('a')
    expect(only((await done('a', news.id)).turns).verdict).toBe('ok')
    expect(ids(await take('b'))).toEqual([news.id])
    expect(await db.sql`select read, to_agent from public.agent_messages`).toEqual([{ read: false, to_agent: null }])
  })

  test('DECISIONS 12: one row, one delivery for each agent that Troupe runs, none for others', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    await n1.hold('a', 'b')
    await insert(db.sql, 'agent_status', { agent_id: 'legacy', agent_name: 'Legacy', agent_type: 'trader' })
    await db.sql`select public.broadcast_message('legacy', 'subject', 'content', '{"n": 1}', 'urgent')`
    await n1.send({ messages: [message('a', 'legacy', 'for one outside')] })
    expect(await deliveries(db.sql)).toMatchObject([{ agent_id: 'a' }, { agent_id: 'b' }])
    const seen = await db.sql`select to_agent, payload from public.agent_messages
      where read = false and (to_agent = 'legacy' or to_agent is null) order by created_at desc limit 10`
    expect(seen).toEqual([
      { to_agent: 'legacy', payload: 'for one outside' },
      { to_agent: null, payload: { n: 1 } },
    ])
  })

  test('many broadcasts beside each other from 8 connections: each reaches everybody once', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { take } = await mailboxes(n1, 'a', 'b', 'c')
    await Promise.all(
      Array.from({ length: 8 }, (_, writer) => n1.send({ messages: Array.from({ length: 5 }, () => message(`w${writer}`, null)) })),
    )
    const sent = await db.sql<{ id: string }[]>`select id from public.agent_messages`
    for (const agent of ['a', 'b', 'c']) expect(ids(await take(agent)).sort()).toEqual(sent.map(({ id }) => id).sort())
  })
})

describe('addresses', () => {
  test('DECISIONS 12: a message for an unknown name waits and is delivered on registration', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const early = message('outside', 'nobody-yet', 'early')
    const told = only(await n1.send({ messages: [early] }))
    expect(told.deliveries).toMatchObject([{ agent_id: 'nobody-yet', unknown: true, stamped: false }])
    const { take } = await mailboxes(n1, 'nobody-yet')
    expect((await take('nobody-yet')).messages).toMatchObject([{ id: early.id, expires_in_ms: null }])
  })

  test('DECISIONS 12: it is dead once its patience is over, with a reason, and can be replayed', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.connect({ max: 1 }))
    const lost = message('outside', 'nobody')
    await n1.send({ messages: [lost] })
    await n1.setClock('23 hours')
    await n1.call('sweep_rows', {})
    expect(await deliveries(db.sql)).toMatchObject([{ status: 'ready' }])
    await n1.setClock('25 hours')
    await n1.call('sweep_rows', {})
    expect(await db.sql`select id, agent_id, reason from public.v_dead_letters`).toEqual([
      { id: lost.id, agent_id: 'nobody', reason: 'unknown_address' },
    ])
    expect(await n1.call('replay_messages', [{ id: lost.id, agent_id: 'nobody' }])).toMatchObject([{ verdict: 'ok' }])
    const { take } = await mailboxes(n1, 'nobody')
    await n1.setClock('60 hours') // registered, it waits for as long as it takes
    await n1.call('sweep_rows', {})
    expect(ids(await take('nobody'))).toEqual([lost.id])
  })

  test('a dead letter with an end of its own lives on once replayed, whether its receiver registers later or goes away and comes back', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.connect({ max: 1 }))
    const lost = message('outside', 'later', 1, { expires_in_ms: 1_000 })
    await n1.send({ messages: [lost] })
    const replay = async () => (await n1.call<{ verdict: string }[]>('replay_messages', [{ id: lost.id, agent_id: 'later' }]))[0]?.verdict
    await n1.setClock('2 seconds')
    await n1.call('sweep_rows', {})
    const first = await replay()
    const { take, tokens } = await mailboxes(n1, 'later')
    await n1.call('sweep_rows', {})
    const mail = await take('later')
    await n1.sync([{ agent_id: 'later', action: 'retire', lease_token: tokens.later }])
    const again = await mailboxes(n1, 'later')
    await n1.call('sweep_rows', {})
    const missed = await again.take('later')
    expect([first, ids(mail), ids(missed), mail.messages[0]?.expires_in_ms]).toEqual(['ok', [lost.id], [lost.id], null])
  })

  test('a message sent while its receiver registers loses the patience of an unknown address when it is taken', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const early = message('outside', 'a')
    const sending = await openTransaction(db.sql, (host) => host.send({ messages: [early] }))
    const { take } = await mailboxes(n1, 'a')
    await sending.end()
    expect((await take('a')).messages).toMatchObject([{ id: early.id, expires_in_ms: null }])
  })
})

describe('what a mailbox gets', () => {
  test('44 and DECISIONS 10: rows that commit out of order are never skipped, by 8 writers and a poller', async () => {
    await using db = await freshDatabase({ max: 12 })
    const n1 = hostOf(db.sql)
    const { take } = await mailboxes(n1, 'reader')
    // The classic hole: a lower number that commits after a higher one was read.
    const slow = message('slow', 'reader', 'slow')
    const sending = await openTransaction(db.sql, (host) => host.send({ messages: [slow] }))
    const quick = message('quick', 'reader', 'quick')
    await n1.send({ messages: [quick] })
    expect(ids(await take('reader'))).toEqual([quick.id])
    await sending.end()
    expect(ids(await take('reader'))).toEqual([slow.id])

    const seen: unknown[] = []
    let writers = 8
    const write = async (writer: number) => {
      for (let n = 0; n < 25; n++) {
        const open = await openTransaction(db.sql, (host) => host.send({ messages: [message(`w${writer}`, 'reader', `${writer}:${n}`)] }))
        await db.sql`select count(*) from public.agent_deliveries` // others overtake it here
        await open.end()
      }
      writers -= 1
    }
    const poll = async () => {
      while (writers > 0) seen.push(...bodies(await take('reader', { limit: 7 })))
      for (let mail = await take('reader'); mail.messages.length > 0; mail = await take('reader')) seen.push(...bodies(mail))
    }
    await Promise.all([...Array.from({ length: 8 }, (_, writer) => write(writer)), poll()])
    expect(seen).toHaveLength(200)
    for (let writer = 0; writer < 8; writer++) {
      const own = seen.filter((body) => String(body).startsWith(`${writer}:`))
      expect(own).toEqual(Array.from({ length: 25 }, (_, n) => `${writer}:${n}`)) // 46: in the order of their sender
    }
  })

  test('45: the same message sent again is the same message', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { tokens, take, done } = await mailboxes(n1, 'a')
    const note = message('outside', 'a', 'once')
    const [first, twin] = await n1.send({ messages: [note, note], stamps: tokens })
    const again = only(await n1.send({ messages: [note], stamps: tokens }))
    expect([first?.verdict, twin?.verdict, again.verdict]).toEqual(['ok', 'repeat', 'repeat'])
    expect(again.deliveries).toEqual(first?.deliveries) // the first answer may be lost: what is stamped must still be put
    expect(ids(await take('a'))).toEqual([]) // stamped: polling does not give it a second time
    expect([only((await done('a', note.id)).turns).verdict, only((await done('a', note.id)).turns).verdict]).toEqual(['ok', 'repeat'])
    expect(only(await n1.send({ messages: [{ ...note, id: note.id.toUpperCase() }] }))).toMatchObject({ verdict: 'repeat', status: 'done' })
    expect(await deliveries(db.sql)).toHaveLength(1)
  })

  test('46 and DECISIONS 11: order is by seq, a retry keeps its place and says when it is due', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { tokens, take } = await mailboxes(n1, 'a')
    const s1m1 = message('s1', 'a', 's1m1')
    await n1.send({ messages: [s1m1, message('s1', 'a', 's1m2'), message('s2', 'a', 's2m1')] })
    expect(bodies(await take('a'))).toEqual(['s1m1', 's1m2', 's2m1'])
    const failed = {
      agent_id: 'a',
      lease_token: tokens.a ?? 0,
      message: { id: s1m1.id, attempts: 0 },
      outcome: 'retry',
      retry_in_ms: 60_000,
    }
    await n1.commit({ turns: [{ ...failed, error: 'first time' }] })
    // Its successor gets the same order, and learns that everything of s1 has to wait.
    const next = await mailboxes(n1, 'a')
    const mail = await next.take('a')
    expect(bodies(mail)).toEqual(['s1m1', 's1m2', 's2m1'])
    expect(mail.messages.map(({ attempts }) => attempts)).toEqual([1, 0, 0])
    expect(mail.messages[0]?.retry_in_ms).toBeGreaterThan(50_000)
    expect(mail.messages.slice(1).map(({ retry_in_ms }) => retry_in_ms)).toEqual([null, null])
  })

  test('a batch keeps its order, and so do the broadcasts in it', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { take } = await mailboxes(n1, 'a')
    await n1.send({ messages: Array.from({ length: 200 }, (_, n) => message('s', n % 3 === 0 ? null : 'a', n)) })
    expect(bodies(await take('a', { limit: 200 }))).toEqual(Array.from({ length: 200 }, (_, n) => n))
  })

  test('urgent and high come first, but never take all the room', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { take } = await mailboxes(n1, 'a')
    await n1.send({
      messages: Array.from({ length: 10 }, (_, n) => message('s', 'a', `normal ${n}`, { priority: n % 2 ? 'normal' : 'low' })),
    })
    await n1.send({
      messages: Array.from({ length: 10 }, (_, n) => message('s', 'a', `express ${n}`, { priority: n % 2 ? 'urgent' : 'high' })),
    })
    expect(bodies(await take('a', { limit: 4 }))).toEqual(['express 0', 'express 1', 'express 2', 'normal 0'])
    expect(bodies(await take('a', { limit: 1 }))).toEqual(['express 3'])
    const rest = await take('a')
    expect([rest.messages.length, rest.more]).toEqual([15, false])
  })

  test('nothing is stamped past rows that wait: a sender’s second message does not overtake its first', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { tokens, take } = await mailboxes(n1, 'a')
    await n1.send({ messages: [message('s', 'a', 1)] }) // from another node, or while the mailbox was spilled
    const second = only(await n1.send({ messages: [message('s', 'a', 2)], stamps: tokens }))
    expect(second.deliveries).toMatchObject([{ agent_id: 'a', stamped: false }])
    expect(bodies(await take('a'))).toEqual([1, 2])
    const third = only(await n1.send({ messages: [message('s', 'a', 3)], stamps: tokens }))
    expect(third.deliveries).toMatchObject([{ stamped: true }])
    expect(only(await n1.send({ messages: [message('s', 'a', 4)], stamps: { a: 99 } })).deliveries).toMatchObject([{ stamped: false }])
  })

  test('what a lost answer gave is given again by have, as part of the limit', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { tokens, take } = await mailboxes(n1, 'a')
    await n1.send({ messages: [1, 2, 3, 4, 5].map((n) => message('s', 'a', n)) })
    const [held = ''] = ids(await take('a', { limit: 1, have: [] }))
    const request = { limit: 2, have: [held] }
    const lost = await take('a', request)
    expect(bodies(lost)).toEqual([2, 3])
    expect(await take('a', request)).toEqual(lost)
    const rest = await take('a', { limit: 10, have: [held, ...ids(lost)] })
    expect([bodies(rest), rest.more]).toEqual([[4, 5], false])
    expect(ids(await take('a'))).toEqual([])
    const stamped = message('s', 'a', 6)
    await n1.send({ messages: [stamped], stamps: tokens })
    expect(bodies(await take('a', { have: [held, ...ids(lost), ...ids(rest)] }))).toEqual([6])
  })

  test('an answer is bounded in bytes, and at least one message comes to each agent', async () => {
    await using db = await freshDatabase()
    await limitAnswers(db.sql, 4_000)
    const n1 = hostOf(db.sql)
    const { tokens, take } = await mailboxes(n1, 'a', 'b')
    const sizes = [998, 998, 998, 9_998, 8, 8]
    await n1.send({ messages: ['a', 'b'].flatMap((to) => sizes.map((size) => message('s', to, 'x'.repeat(size)))) })
    const lengths = (taken: Taken | undefined) => [(taken?.messages ?? []).map(({ body }) => body.length), taken?.more]
    const [a, b] = await n1.take({ agent_id: 'a', lease_token: tokens.a }, { agent_id: 'b', lease_token: tokens.b })
    expect([lengths(a), lengths(b)]).toEqual([1, 2].map(() => [[1000, 1000], true])) // half of the answer for each
    expect([lengths(await take('a')), lengths(await take('a'))]).toEqual([
      [[1000, 10_000], true],
      [[10, 10], false],
    ])
    expect(lengths(await take('b', { limit: 1 }))).toEqual([[1000], true])
    expect(lengths(await take('b'))).toEqual([[10_000], true])
  })

  test('only the incarnation that holds the lease takes mail', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { tokens } = await mailboxes(n1, 'a')
    await n1.send({ messages: [message('s', 'a')] })
    const wrong = [(tokens.a ?? 0) + 1, 0, null, String(tokens.a), undefined]
    const taken = await n1.take(...wrong.map((lease_token) => ({ agent_id: 'a', lease_token })), { agent_id: 'nobody' })
    expect(taken.map(({ verdict, messages }) => [verdict, messages])).toEqual(taken.map(() => ['stale', []]))
  })
})

describe('DECISIONS 13: a full mailbox', () => {
  test('a direct message is refused with MAILBOX_FULL, its own, repeats, replies, records and broadcasts go in', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const [held] = await n1.sync([{ agent_id: 'a', action: 'take', mailbox_limit: 2 }])
    const tokens = { a: held?.lease_token ?? 0 }
    const [first, second] = [message('s', 'a', 1), message('s', 'a', 2)]
    await n1.send({ messages: [first, second] })
    const third = message('s', 'a', 3)
    const answers = await n1.send({ messages: [third, message('s', 'elsewhere')] })
    expect(answers).toMatchObject([{ id: third.id, verdict: 'failed', code: 'MAILBOX_FULL' }, { verdict: 'ok' }])
    const welcome = [
      second,
      message('a', 'a', 'to myself'),
      message('s', 'a', 'a reply', { reply_to: first.id }),
      message('s', 'a', 'a record', { log: true }),
      message('s', null, 'a broadcast'),
    ]
    expect((await n1.send({ messages: welcome })).map(({ verdict }) => verdict)).toEqual(['repeat', 'ok', 'ok', 'ok', 'ok'])
    // The room is there again as soon as something is handled.
    const mail = only(await n1.take({ agent_id: 'a', lease_token: tokens.a }))
    await n1.commit({ turns: mail.messages.map(({ id }) => ({ agent_id: 'a', lease_token: tokens.a, message: { id, attempts: 0 } })) })
    expect(only(await n1.send({ messages: [third] })).verdict).toBe('ok')
  })

  test('in a commit it is the turn’s verdict: nothing of it is there, and the same turn stands later', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { sender = 0 } = await n1.hold('sender')
    await n1.sync([{ agent_id: 'a', action: 'take', mailbox_limit: 1 }])
    const [task, next] = [message('s', 'sender'), message('s', 'sender')]
    await n1.send({ messages: [task, next, message('s', 'a', 'in the way')] })
    await n1.take({ agent_id: 'sender', lease_token: sender })
    const turn = {
      agent_id: 'sender',
      lease_token: sender,
      message: { id: task.id, attempts: 0 },
      state: { version: 0, value: '1' },
      messages: [message('sender', 'a')],
    }
    const follower = { agent_id: 'sender', lease_token: sender, message: { id: next.id, attempts: 0 } }
    const full = await n1.commit({ turns: [turn, follower] })
    expect(full.turns).toMatchObject([
      { verdict: 'failed', code: 'MAILBOX_FULL' },
      { verdict: 'stale', reason: 'follows' },
    ])
    expect(await db.sql`select from public.agent_state`).toHaveLength(0)
    await db.sql`delete from public.agent_deliveries where agent_id = 'a'`
    const later = await n1.commit({ turns: [turn, follower] })
    expect(later.turns.map(({ verdict }) => verdict)).toEqual(['ok', 'ok'])
  })
})

describe('delay, expiry, dead letters', () => {
  test('a delayed message comes when it is due, in the order of being due, behind what was there', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.connect({ max: 1 }))
    const { tokens, take } = await mailboxes(n1, 'a')
    const late = message('s', 'a', 'late', { delay_ms: 60_000 })
    await n1.send({ messages: [late, message('s', 'a', 'sooner', { delay_ms: 30_000 }), message('s', 'a', 'now')], stamps: tokens })
    const first = await take('a', { have: [] })
    expect(bodies(first)).toEqual(['now'])
    expect(first.next_in_ms).toBeGreaterThan(25_000)
    expect(first.next_in_ms).toBeLessThanOrEqual(30_000)
    await n1.setClock('61 seconds')
    const due = await take('a')
    expect([bodies(due), due.next_in_ms]).toEqual([['sooner', 'late'], null])
  })

  test('a message that has expired is dead: by the poll, by the sweep, and not before', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.connect({ max: 1 }))
    const { take } = await mailboxes(n1, 'a', 'b')
    const [short, other, long] = [
      message('s', 'a', 'short', { expires_in_ms: 1_000 }),
      message('s', 'b', 'short', { expires_in_ms: 1_000 }),
      message('s', 'a', 'long', { expires_in_ms: 100_000 }),
    ]
    await n1.send({ messages: [short, other, long] })
    await n1.call('sweep_rows', {})
    expect((await deliveries(db.sql)).map(({ status }) => status)).toEqual(['ready', 'ready', 'ready'])
    await n1.setClock('2 seconds')
    const mail = await take('a')
    expect(bodies(mail)).toEqual(['long'])
    expect(mail.messages[0]?.expires_in_ms).toBeLessThan(98_100)
    await n1.call('sweep_rows', {})
    expect(await db.sql`select id, reason from public.v_dead_letters order by agent_id`).toEqual([
      { id: short.id, reason: 'expired' },
      { id: other.id, reason: 'expired' },
    ])
    await n1.setClock('200 seconds')
    await n1.call('sweep_rows', {}) // what is in a mailbox in memory is its holder's to end
    expect((await deliveries(db.sql)).map(({ status }) => status)).toEqual(['dead', 'ready', 'dead'])
  })

  test('a message of another system that expires at infinity never does; one that always had is dead', async () => {
    await using db = await freshDatabase()
    const { take } = await mailboxes(hostOf(db.sql), 'a')
    await db.sql`insert into public.agent_messages (message_type, from_agent, to_agent, payload, expires_at)
      values ('command', 'x', 'a', '1', 'infinity'), ('command', 'x', 'a', '2', '-infinity')`
    expect(bodies(await take('a'))).toEqual([1])
    expect((await deliveries(db.sql)).map(({ status, dead_reason }) => [status, dead_reason])).toEqual([
      ['ready', null],
      ['dead', 'expired'],
    ])
  })

  test('dead letters are replayed behind what waits, with fresh counts, or dropped; each repeat says so', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { tokens, take } = await mailboxes(n1, 'a')
    const [poison, spam, fine] = [message('s', 'a', 'poison'), message('s', 'a', 'spam'), message('s', 'a', 'fine')]
    await n1.send({ messages: [poison, spam] })
    await take('a')
    const kill = (id: string) => ({
      agent_id: 'a',
      lease_token: tokens.a ?? 0,
      message: { id, attempts: 0 },
      outcome: 'dead',
      reason: 'HANDLER_FAILED',
      error: 'boom',
    })
    await n1.commit({ turns: [kill(poison.id), kill(spam.id)] })
    const letters = await db.sql`select id, type, reason, error, attempts from public.v_dead_letters order by died_at, id`
    expect(letters.map((letter) => ({ ...letter, id: 0 }))).toEqual(
      [1, 2].map(() => ({ id: 0, type: 'note', reason: 'HANDLER_FAILED', error: 'boom', attempts: 1 })),
    )
    await n1.send({ messages: [fine] })
    const name = (id: string, agent_id = 'a') => ({ id, agent_id })
    const verdicts = async (fn: string, ...elements: unknown[]) =>
      (await n1.call<{ verdict: string }[]>(fn, elements)).map(({ verdict }) => verdict)
    expect(await verdicts('drop_messages', name(spam.id), name(fine.id), name(spam.id, 'b'))).toEqual(['ok', 'stale', 'not_found'])
    expect(await verdicts('drop_messages', name(spam.id))).toEqual(['repeat'])
    const dropped = () => db.sql`select id, agent_id, type, reason, error, attempts from public.v_dropped_letters`
    expect(await dropped()).toEqual([{ ...letters[0], id: spam.id, agent_id: 'a' }])
    expect(await verdicts('replay_messages', name(poison.id), name(fine.id), name(poison.id, 'b'))).toEqual(['ok', 'stale', 'not_found'])
    const mail = await take('a')
    expect(mail.messages.map(({ body, attempts }) => [body, attempts])).toEqual([
      ['"fine"', 0],
      ['"poison"', 0],
    ])
    expect(await verdicts('replay_messages', name(spam.id))).toEqual(['ok'])
    expect(await dropped()).toEqual([])
    expect(bodies(await take('a'))).toEqual(['spam'])
  })

  test('a record of a message that is kept in memory only is never read back', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { tokens, take } = await mailboxes(n1, 'a')
    await n1.send({ messages: [message('s', 'a', 'fast', { log: true })], stamps: tokens })
    expect(ids(await take('a', { have: [] }))).toEqual([])
    const next = await mailboxes(n1, 'a')
    expect(ids(await next.take('a'))).toEqual([])
    expect(await deliveries(db.sql)).toMatchObject([{ status: 'done' }])
  })
})

describe('agents of the original system', () => {
  test('their literal calls: insert returning the row, select of what is unread, update of read', async () => {
    await using db = await freshDatabase()
    const python = db.connect({ role: 'service_role' })
    const n1 = hostOf(db.sql)
    const { take } = await mailboxes(n1, 'scanner-main')
    await insert(python, 'agent_status', {
      agent_id: 'trader-py',
      agent_name: 'Trader',
      agent_type: 'trader',
      status: 'idle',
      last_heartbeat: new Date().toISOString(),
      capabilities: ['execute_trade'],
    })
    const call = { message_type: 'command', from_agent: 'trader-py', subject: 'scan', content: 'now', priority: 'high', payload: { n: 1 } }
    const row = await insert(python, 'agent_messages', { ...call, to_agent: 'scanner-main' })
    expect(row).toMatchObject({ ...call, read: false, read_at: null })
    expect((await take('scanner-main')).messages).toMatchObject([
      { id: row.id, from_agent: 'trader-py', type: 'scan', message_type: 'command', content: 'now', body: '{"n": 1}', priority: 'high' },
    ])
    await insert(python, 'agent_messages', { ...call, from_agent: 'other', to_agent: 'trader-py', payload: null })
    await n1.send({ messages: [message('scanner-main', 'trader-py', { answer: 42 }), message('scanner-main', null, 'to all')] })
    const unread = () => python<{ id: string; payload: unknown }[]>`select * from agent_messages
      where read = false and (to_agent = 'trader-py' or to_agent is null) order by created_at desc limit 20`
    const found = await unread()
    expect(found.map(({ payload }) => payload)).toEqual(expect.arrayContaining([null, { answer: 42 }, 'to all']))
    expect(found).toHaveLength(3)
    await python`update agent_messages set read = true, read_at = now() where id = any(${found.map(({ id }) => id)})`
    expect(await unread()).toEqual([])
  })

  test('a change of system_config and of an agent’s trouble is announced once, whoever makes it', async () => {
    await using db = await freshDatabase()
    const python = db.connect({ role: 'service_role' })
    const n1 = hostOf(db.sql)
    const { take } = await mailboxes(n1, 'coordinator-main')
    await python`update system_config set value = '25', updated_by = 'me' where key = 'max_daily_exposure'`
    await python`update system_config set value = '25' where key = 'max_daily_exposure'`
    await python`insert into system_config (key, value) values ('extra', 'true')`
    const news = await take('coordinator-main')
    expect(bodies(news)).toEqual([
      { key: 'max_daily_exposure', value: 25, previous: 20 },
      { key: 'extra', value: true, previous: null },
    ])
    await insert(python, 'agent_status', { agent_id: 'py', agent_name: 'Py', agent_type: 'trader', status: 'idle' })
    for (let n = 0; n < 2; n++) {
      await python`update agent_status set status = 'blocked', blocked_reason = 'no funds', blocked_since = now() where agent_id = 'py'`
    }
    await insert(python, 'agent_status', { agent_id: 'born-bad', agent_name: 'B', agent_type: 'trader', status: 'error' })
    const trouble = await take('coordinator-main')
    expect(trouble.messages.map(({ type }) => type)).toEqual(['Agent Blocked', 'Agent Error'])
    expect(bodies(trouble)).toMatchObject([{ agent_id: 'py', reason: 'no funds' }, { agent_id: 'born-bad' }])
  })
})

describe('bad input', () => {
  test('of one message fails that one with its code; the others go out', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { tokens } = await mailboxes(n1, 'a')
    const wrong: [string, Record<string, unknown>][] = [
      ['22P05', { body: '"\\u0000"' }],
      ['22P02', { body: '"\\ud800"' }],
      ['22P02', { body: '{"a":' }],
      ['22P02', { id: 'not-a-uuid' }],
      ['23514', { body: JSON.stringify('x'.repeat(1_048_576)) }],
      ['23514', { priority: 'whenever' }],
      ['23514', { message_type: 'order' }],
      ['23502', { from_agent: null }],
      ['54000', { send_key: Array.from({ length: 5000 }, () => Math.random().toString(36)).join('') }],
      ['22008', { delay_ms: 1e300 }],
    ]
    const good = message('s', 'a', 'good')
    const answers = await n1.send({ messages: [...wrong.map(([, more]) => ({ ...message('s', 'a'), ...more })), good], stamps: tokens })
    expect(answers.map(({ code, verdict }) => code ?? verdict)).toEqual([...wrong.map(([code]) => code), 'ok'])
    expect(answers.every(({ error, verdict }) => verdict === 'ok' || error)).toBe(true)
    expect(await db.sql`select id from public.agent_messages`).toEqual([{ id: good.id }])
    expect(await deliveries(db.sql)).toHaveLength(1)
  })

  test('a body of 1 MiB goes through to agents of Troupe and to others, whatever its shape', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const { take } = await mailboxes(n1, 'a')
    const numbers = JSON.parse(`[${'0,'.repeat(524_286)}0]`) as number[]
    await n1
      .send({ messages: [message('s', 'a', numbers), message('s', null, numbers), message('s', 'elsewhere', numbers)] })
      .then((told) => expect(told.map(({ verdict }) => verdict)).toEqual(['ok', 'ok', 'ok']))
    expect((await take('a')).messages.map(({ body }) => body.length)).toEqual([1_048_575, 1_048_575])
  })

  test('what PostgreSQL cannot read as JSON is refused as a whole, by name, and changes nothing', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.sql)
    const raw = (text: string) => db.sql`select public.send_messages(${text}::text::jsonb)`
    const one = (body: string) => `{"messages":[{"from_agent":"s","to_agent":"a","type":"t","body":${body}}]}`
    await expect(raw(one('"\\u0000"'))).rejects.toMatchObject({ code: '22P05' })
    await expect(raw(one('"\\ud800"'))).rejects.toMatchObject({ code: '22P02' })
    await expect(n1.call('send_messages', { messages: {} })).rejects.toMatchObject({ code: '22023' })
    await expect(n1.call('take_messages', {})).rejects.toMatchObject({ code: '22023' })
    await expect(n1.call('replay_messages', [{ id: 'x', agent_id: 'a' }])).rejects.toMatchObject({ code: '22P02' })
    expect(await db.sql`select from public.agent_messages`).toHaveLength(0)
    expect(await n1.send({ messages: [] })).toEqual([])
  })
})

test('56: senders that block each other are told to repeat, and the repeat is nothing twice', async () => {
  await using db = await freshDatabase()
  const n1 = hostOf(db.sql)
  await n1.hold('a')
  const keyed = (send_key: string) => message('s', 'a', null, { send_key })
  const rounds = Array.from({ length: 30 }, (_, n) => {
    const [one, other] = [keyed(`${n}:1`), keyed(`${n}:2`)]
    return [insist(() => n1.send({ messages: [one, other] })), insist(() => n1.send({ messages: [other, one] }))]
  })
  await Promise.all(rounds.flat())
  expect(await deliveries(db.sql)).toHaveLength(60)
})
