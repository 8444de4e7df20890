import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createMailbox, type Mailbox } from '../../src/core/mailbox.ts'
import type { Job, Message, Priority } from '../../src/core/message.ts'

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
  test('holds back later ones of its sender, and nobody else', () => {
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

/** The same rules told as one list that is searched from the front. */
type Waiting = { message: Message; retryAt: number }
class Model {
  waiting: Waiting[] = []
  #run = { kind: '', length: 0 }

  next(now: number): string | undefined {
    const free = this.waiting.filter(
      ({ message: { from, seq }, retryAt }) =>
        retryAt <= now && !this.waiting.some((other) => other.message.from === from && other.message.seq < seq && other.retryAt > now),
    )
    const kindOf = (one: Waiting) => (one.message.priority === 'urgent' ? 'express' : 'ordinary')
    const kinds = ['express', 'ordinary'].filter((kind) => free.some((one) => kindOf(one) === kind))
    const tired = this.#run.length >= 16 && kinds.length > 1
    const kind = tired ? kinds.find((one) => one !== this.#run.kind) : kinds[0]
    const [chosen] = free.filter((one) => kindOf(one) === kind).sort((one, other) => one.message.seq - other.message.seq)
    if (!chosen || kind === undefined) return undefined
    this.#run = { kind, length: kind === this.#run.kind ? this.#run.length + 1 : 1 }
    this.waiting = this.waiting.filter((one) => one !== chosen)
    return chosen.message.id
  }
}

test('does what a plain list does, whatever happens', () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('put' as const),
      sender: fc.integer({ min: 1, max: 3 }),
      priority: fc.constantFrom<Priority>('normal', 'urgent'),
      expires: fc.option(fc.integer({ min: 1, max: 50 })),
      retry: fc.option(fc.integer({ min: 1, max: 20 }), { freq: 4 }),
    }),
    fc.record({ do: fc.constant('next' as const), hold: fc.option(fc.integer({ min: 1, max: 20 })) }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 10 }) }),
    fc.record({ do: fc.constant('expire' as const) }),
  )
  const seed = Date.now() & 0x7fffffff
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const mailbox = createMailbox({ capacity: 10_000 })
      const model = new Model()
      let now = 0
      let count = 0
      for (const one of steps) {
        if (one.do === 'pass') now += one.ms
        if (one.do === 'put') {
          count += 1
          const expiresAt = one.expires === null ? {} : { expiresAt: now + one.expires }
          const retryAt = one.retry === null ? {} : { retryAt: now + one.retry }
          const put = message(`s${one.sender}m${count}`, { priority: one.priority, ...expiresAt, ...retryAt })
          mailbox.put([put])
          model.waiting.push({ message: put, retryAt: put.retryAt ?? 0 })
        }
        if (one.do === 'next') {
          const delivery = mailbox.next(now)
          const found = delivery?.kind === 'message' ? delivery.message : undefined
          expect(found?.id, `seed ${seed}`).toBe(model.next(now))
          if (found && one.hold !== null) {
            mailbox.hold(found, now + one.hold)
            model.waiting.push({ message: found, retryAt: now + one.hold })
          }
        }
        if (one.do === 'expire') {
          const dead = model.waiting.filter(({ message: { expiresAt = now + 1 } }) => expiresAt <= now).map((each) => each.message.id)
          model.waiting = model.waiting.filter((each) => !dead.includes(each.message.id))
          const expired = mailbox.takeExpired(now).map(({ id }) => id)
          expect(expired.sort()).toEqual(dead.sort())
        }
        expect(mailbox.size).toBe(model.waiting.length)
      }
    }),
    { seed, numRuns: 500 },
  )
})
