import { describe, expect, test } from 'vitest'
import { createMailbox, type Mailbox } from '../../src/core/mailbox.ts'
import type { Job, Message } from '../../src/core/message.ts'

let places = 0
function message(id: string, more: Partial<Message> = {}): Message {
  places += 1
  const from = id.slice(0, id.indexOf('m'))
  return { id, seq: places, from, type: 'note', body: 'null', priority: 'normal', attempts: 0, interruptions: 0, ...more }
}
const job = (id: string): Job => ({ id, type: 'work', payload: '{}', attempt: 1, maxAttempts: 3, token: 1 })
const urgent = { priority: 'urgent' } as const

function next(mailbox: Mailbox, now = 0): string | undefined {
  const delivery = mailbox.next(now)
  return delivery?.kind === 'message' ? delivery.message.id : delivery?.job.id
}
function rest(mailbox: Mailbox, now = 0): string[] {
  const ids = []
  for (let id = next(mailbox, now); id !== undefined; id = next(mailbox, now)) ids.push(id)
  return ids
}
function filled(...messages: Message[]): Mailbox {
  const mailbox = createMailbox({ capacity: 100 })
  mailbox.put(messages)
  return mailbox
}

describe('a message that waits for its retry', () => {
  test('DECISIONS 11: holds back later ones of its sender, and nobody else', () => {
    const first = message('s1m1')
    const mailbox = filled(first, message('s1m2'), message('s2m1'))
    const log = [next(mailbox)]
    mailbox.hold(first, 200)
    log.push(...rest(mailbox, 0), `until ${mailbox.wakesAt}`, String(next(mailbox, 200)))
    mailbox.hold(first, 600)
    log.push(...rest(mailbox, 599), ...rest(mailbox, 600))
    expect(log).toEqual(['s1m1', 's2m1', 'until 200', 's1m1', 's1m1', 's1m2'])
  })

  test('holds back what comes while it waits, express or not', () => {
    const first = message('s1m1')
    const mailbox = filled(first)
    mailbox.next(0)
    mailbox.hold(first, 10)
    mailbox.put([message('s1m2', urgent), message('s2m1', urgent)])
    expect([rest(mailbox, 9), rest(mailbox, 10)]).toEqual([['s2m1'], ['s1m2', 's1m1']])
  })

  test('goes before one of its sender that waits as well', () => {
    const first = message('s1m1')
    const mailbox = filled(first)
    mailbox.next(0)
    mailbox.put([message('s1m2', { retryAt: 30 }), message('s1m3')])
    mailbox.hold(first, 10)
    expect([rest(mailbox, 9), rest(mailbox, 10), mailbox.wakesAt, rest(mailbox, 30)]).toEqual([[], ['s1m1'], 30, ['s1m2', 's1m3']])
  })

  test('comes from the table as it went in: after a takeover it still waits', () => {
    const mailbox = filled(message('s1m1'), message('s1m2', { retryAt: 50 }), message('s1m3'), message('s2m1'))
    expect([rest(mailbox, 49), rest(mailbox, 50)]).toEqual([
      ['s1m1', 's2m1'],
      ['s1m2', 's1m3'],
    ])
  })
})

describe('kinds', () => {
  const many = (sender: string, count: number, more: Partial<Message> = {}) =>
    Array.from({ length: count }, (_, at) => message(`${sender}m${at}`, more))

  test('go express, jobs, ordinary, sixteen of a kind at most in a row', () => {
    const mailbox = filled(...many('o', 3), ...many('e', 40, urgent))
    for (let at = 0; at < 20; at++) mailbox.putJob(job(`job${at}`))
    const kinds = rest(mailbox).map((id) => id[0])
    const runs = kinds.join('').match(/(.)\1*/g)
    expect(runs?.map((run) => `${run[0]}${run.length}`)).toEqual(['e16', 'j1', 'e16', 'o1', 'e8', 'j16', 'o1', 'j3', 'o1'])
  })

  test('share with two others that never end', () => {
    const mailbox = createMailbox({ capacity: 1_000 })
    mailbox.put(many('o', 20))
    const counts = { e: 0, j: 0, o: 0 }
    for (let at = 0; at < 200; at++) {
      mailbox.put([message(`em${at}`, urgent)])
      mailbox.putJob(job(`job${at}`))
      counts[next(mailbox)?.[0] as 'e' | 'j' | 'o'] += 1
    }
    expect(counts).toEqual({ e: 189, j: 6, o: 5 })
  })
})

describe('room', () => {
  test('filling up spills, and nothing is taken from the table before half is free again', () => {
    const mailbox = createMailbox({ capacity: 4 })
    mailbox.put(Array.from({ length: 4 }, (_, at) => message(`sm${at}`)))
    const log: unknown[] = [[mailbox.mode, mailbox.room()]]
    mailbox.next(0)
    log.push([mailbox.mode, mailbox.room()])
    mailbox.next(0)
    log.push([mailbox.mode, mailbox.room()])
    mailbox.put([message('sm5')])
    mailbox.refilled(true)
    log.push(mailbox.mode)
    mailbox.refilled(false)
    log.push([mailbox.mode, mailbox.room()])
    mailbox.spill()
    log.push(mailbox.mode)
    expect(log).toEqual([['spilled', 0], ['spilled', 0], ['spilled', 2], 'spilled', ['memory', 1], 'spilled'])
  })

  test('a commit under way may put a few more', () => {
    const mailbox = createMailbox({ capacity: 2 })
    mailbox.put([message('sm1'), message('sm2'), message('sm3')])
    expect([mailbox.size, mailbox.mode, mailbox.room()]).toEqual([3, 'spilled', 0])
  })
})

test('expired messages are taken out wherever they wait, a few at a time if asked', () => {
  const dies = { expiresAt: 10 }
  const held = message('s1m1', dies)
  const mailbox = filled(held)
  mailbox.next(0)
  mailbox.hold(held, 100)
  mailbox.put([message('s1m2'), message('s1m3', dies), message('s2m1', { ...urgent, ...dies }), message('s3m1')])
  const some = mailbox.takeExpired(10, 1).length
  const others = mailbox.takeExpired(10).map(({ id }) => id)
  expect([mailbox.takeExpired(9), some, others.length, rest(mailbox, 10), mailbox.size]).toEqual([[], 1, 2, ['s1m2', 's3m1'], 0])
})

test('jobs can be taken back: one, or all; clear takes everything', () => {
  const mailbox = filled(message('s1m1'), message('s2m1', { retryAt: 5 }))
  for (const id of ['j1', 'j2', 'j3']) mailbox.putJob(job(id))
  const one = mailbox.takeJobs('j2').map(({ id }) => id)
  const all = mailbox.clear().length
  mailbox.putJob(job('j4'))
  expect([one, all, mailbox.jobs, mailbox.takeJobs().map(({ id }) => id), mailbox.size]).toEqual([['j2'], 4, 1, ['j4'], 0])
})
