import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { HostFrame } from '../../src/core/frames.ts'
import type { Message } from '../../src/core/message.ts'
import { createAsyncMail } from '../../src/host/async-mail.ts'
import { runs } from '../seed.ts'

type Mail = Extract<HostFrame, { kind: 'mail' }>

function open(capacity = 10_000) {
  const frames: Mail[] = []
  const handled: string[] = []
  const failed: string[] = []
  const settled: string[] = []
  const mail = createAsyncMail({
    agent: 'a',
    capacity,
    post: (frame) => frames.push(frame as Mail),
    onHandled: (rows) => handled.push(...rows.map(({ id }) => id)),
    onFailed: ({ type, row, error }) => failed.push([type, row?.id ?? 'record', error.message].join(' ')),
    unsettled: () => handled.length - settled.length,
  })
  mail.open()
  mail.refilled(false)
  const bodies = () => frames.flatMap(({ items }) => items.filter((_, index) => index % 3 === 1))
  return { mail, frames, handled, settled, failed, bodies }
}

function row(id: string): Message {
  return { id, seq: 1, from: 's', type: 'row', body: id, priority: 'normal', attempts: 0, interruptions: 0 }
}

test('a burst goes in batches of 256, no more than 1,024 at a time without an answer', async () => {
  const { mail, frames } = open()
  for (let n = 0; n < 3_000; n++) mail.take('note', String(n), 's')
  await Promise.resolve()
  const sizes = () => frames.map(({ first, items }) => `${first}+${items.length / 3}`)
  const before = sizes()
  mail.acked({ kind: 'acks', actor: 'a', upTo: 300, failed: [] })
  expect([before, sizes().slice(4), mail.size]).toEqual([['1+256', '257+256', '513+256', '769+256'], ['1025+256', '1281+44'], 2_700])
})

test('rows of the table are settled by their answers, records leave nothing', async () => {
  const { mail, handled, failed } = open()
  mail.take('note', '1', 's')
  mail.put([row('r2'), row('r3')])
  mail.take('note', '4', 's')
  mail.put([row('r5')])
  await Promise.resolve()
  const error = { name: 'Error', message: 'no' }
  const bad = [1, 3].map((number) => ({ number, error }))
  mail.acked({ kind: 'acks', actor: 'a', upTo: 4, failed: bad })
  expect([handled, failed, mail.close().map(({ id }) => id)]).toEqual([['r2'], ['note record no', 'row r3 no'], ['r5']])
})

test('what does not fit goes through the table until that is empty', () => {
  const { mail } = open(2)
  const took = [1, 2, 3].map((n) => mail.take('note', String(n), 's'))
  const log = [took, mail.mode, mail.take('note', '4', 's'), mail.room()]
  expect(log).toEqual([[true, true, false], 'spilled', false, 0])
})

test('everything arrives once and in order, however it is answered', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('take' as const), count: fc.integer({ min: 1, max: 700 }) }),
    fc.record({ do: fc.constant('ack' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { mail, frames, bodies } = open(1_000_000)
      let count = 0
      let acknowledged = 0
      const sent = () => frames.reduce((sum, { items }) => sum + items.length / 3, 0)
      const ack = (upTo: number) => {
        if (upTo <= acknowledged) return
        acknowledged = upTo
        mail.acked({ kind: 'acks', actor: 'a', upTo, failed: [] })
      }
      for (const one of steps) {
        if (one.do === 'take') for (let n = 0; n < one.count; n++) mail.take('note', String(count++), 's')
        else ack(acknowledged + Math.floor((sent() - acknowledged) * one.part))
        await Promise.resolve()
        expect(sent() - acknowledged).toBeLessThanOrEqual(1_024)
      }
      while (acknowledged < count) ack(sent())
      await mail.emptied()
      expect(bodies()).toEqual(Array.from({ length: count }, (_, n) => String(n)))
    }),
    runs(100),
  )
})

test('what a commit puts in fills it up like anything else', () => {
  const { mail } = open(2)
  for (const n of [1, 2, 3]) mail.land('note', String(n), 's')
  expect([mail.mode, mail.size, mail.take('note', '4', 's')]).toEqual(['spilled', 3, false])
})

test('takes no more from the table before the store knows of what was taken', async () => {
  const { mail, settled } = open(4)
  mail.spill()
  mail.put(['r1', 'r2', 'r3', 'r4'].map(row))
  await Promise.resolve()
  mail.acked({ kind: 'acks', actor: 'a', upTo: 4, failed: [] })
  const rooms = [mail.size, mail.room()]
  settled.push('r1', 'r2')
  expect([...rooms, mail.room()]).toEqual([0, 0, 2])
})

test('once its thread is gone everything goes through the table, also after an answer that was on its way', () => {
  const { mail } = open()
  mail.close()
  const took = [mail.take('note', '1', 's')]
  mail.refilled(false)
  expect([...took, mail.take('note', '2', 's'), mail.mode, mail.room(), mail.size]).toEqual([false, false, 'spilled', 0, 0])
})
