import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMailbox } from '../../src/core/mailbox.ts'
import type { Delivery, Job, Message, Priority } from '../../src/core/message.ts'
import { again, runs } from '../seed.ts'
import { type Entry, MailboxModel } from './mailbox-model.ts'

const soon = (max: number) => fc.integer({ min: 1, max })
const operation = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      sender: soon(3),
      priority: fc.constantFrom<Priority>('low', 'normal', 'high', 'urgent'),
      count: soon(4),
      expires: fc.option(soon(60), { freq: 3 }),
      retry: fc.option(soon(20), { freq: 6 }),
    }),
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('claim' as const), count: soon(8) }) },
  { weight: 40, arbitrary: fc.record({ do: fc.constant('handle' as const), times: soon(24), retry: fc.option(soon(20), { freq: 8 }) }) },
  { weight: 15, arbitrary: fc.record({ do: fc.constant('refill' as const), limit: soon(20) }) },
  { weight: 15, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: soon(12) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('expire' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('spill' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('releaseJobs' as const) }) },
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

/** How often something came up: runs that leave it out by mistake would pass as well. */
const seen = { spilled: 0, drained: 0, held: 0, expired: 0, jobs: 0, longestRun: 0 }

test('a mailbox and its table do what two plain lists do, and lose nothing, whatever happens', () => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 40 }), fc.array(operation, { maxLength: 120, size: 'max' }), play), runs(250))
  expect(
    Object.entries(seen).filter(([, count]) => count < 16),
    again,
  ).toEqual([])
})

function play(capacity: number, operations: readonly Operation[]): void {
  const mailbox = createMailbox({ capacity })
  const model = new MailboxModel(capacity)
  const sent: string[] = []
  const ended: string[] = []
  let now = 0

  for (const one of operations) {
    perform(one)
    expect({ size: mailbox.size, mode: mailbox.mode, room: mailbox.room(), jobs: mailbox.jobs }).toEqual({
      size: model.memory.length,
      mode: model.mode,
      room: model.room(),
      jobs: model.memory.filter(({ from }) => from === undefined).length,
    })
  }
  // In the end everything comes out, once.
  for (let round = 0; model.memory.length + model.table.length > 0 && round < 1_000; round++) {
    now += 20
    handle(undefined)
    if (model.memory.length === 0) perform({ do: 'refill', limit: 100 })
  }
  expect(ended.toSorted()).toEqual(sent.toSorted())

  function perform(one: Operation): void {
    switch (one.do) {
      case 'send':
        return deliver(Array.from({ length: one.count }, () => make(`s${one.sender}`, one)))
      case 'claim':
        for (const job of Array.from({ length: one.count }, () => make(undefined))) {
          mailbox.putJob(jobOf(job))
          model.add([job])
          seen.jobs += 1
        }
        return
      case 'handle':
        for (let time = 0; time < one.times; time++) handle(time === 0 ? (one.retry ?? undefined) : undefined)
        return
      case 'refill':
        return refill(one.limit)
      case 'pass':
        now += one.ms
        return
      case 'expire': {
        const expired = mailbox.takeExpired(now).map(({ id }) => id)
        expect(expired.toSorted()).toEqual(
          model
            .expire(now)
            .map(({ id }) => id)
            .toSorted(),
        )
        seen.expired += expired.length
        ended.push(...expired)
        return
      }
      case 'spill':
        mailbox.spill()
        model.mode = 'spilled'
        return
      case 'releaseJobs': {
        const taken = mailbox.takeJobs().map(({ id }) => id)
        const jobs = model.memory.filter(({ from }) => from === undefined)
        model.memory = model.memory.filter((entry) => !jobs.includes(entry))
        expect(taken).toEqual(jobs.map(({ id }) => id))
        ended.push(...taken)
      }
    }
  }

  function make(from: string | undefined, given: Partial<Extract<Operation, { do: 'send' }>> = {}): Entry {
    const seq = sent.length + 1
    const id = `${from ?? 'job'}-${seq}`
    sent.push(id)
    const { priority = 'normal', expires, retry } = given
    return { id, seq, from, priority, expiresAt: expires ? now + expires : Number.POSITIVE_INFINITY, retryAt: retry ? now + retry : 0 }
  }

  /** As a commit does: into memory, unless something waits in the table. */
  function deliver(entries: readonly Entry[]): void {
    if (model.mode === 'spilled') {
      model.table.push(...entries)
      return
    }
    mailbox.put(entries.map(messageOf))
    model.add(entries)
    if (model.mode === ('spilled' as string)) seen.spilled += 1
  }

  function refill(limit: number): void {
    const taken = model.table.splice(0, Math.min(model.room(), limit))
    mailbox.put(taken.map(messageOf))
    model.add(taken)
    const hasMore = model.table.length > 0
    mailbox.refilled(hasMore)
    model.mode = hasMore || model.memory.length >= capacity ? 'spilled' : 'memory'
    if (taken.length > 0 && model.mode === 'memory') seen.drained += 1
  }

  function handle(retry: number | undefined): void {
    const given = mailbox.next(now)
    const entry = model.next(now)
    expect(given && idOf(given)).toBe(entry?.id)
    if (given === undefined || entry === undefined) return
    seen.longestRun = Math.max(seen.longestRun, model.longestRun)
    if (given.kind === 'job' || retry === undefined) return void ended.push(entry.id)
    mailbox.hold(given.message, now + retry)
    model.memory.push({ ...entry, retryAt: now + retry })
    seen.held += 1
  }
}

function idOf(delivery: Delivery): string {
  return delivery.kind === 'message' ? delivery.message.id : delivery.job.id
}

function jobOf({ id }: Entry): Job {
  return { id, type: 'work', payload: '{}', attempt: 1, maxAttempts: 3, token: 1 }
}

function messageOf({ id, seq, from = '', priority, expiresAt, retryAt }: Entry): Message {
  const times = { ...(Number.isFinite(expiresAt) && { expiresAt }), ...(retryAt > 0 && { retryAt }) }
  return { id, seq, from, type: 'note', body: 'null', priority, attempts: 0, interruptions: 0, ...times }
}
