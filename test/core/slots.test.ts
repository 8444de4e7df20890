import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSlots } from '../../src/core/slots.ts'
import { memory } from '../census.ts'
import { runs } from '../seed.ts'

test('a number is not given twice, and one that was given back names nothing any more', async () => {
  const steps = fc.array(fc.oneof(fc.constant('put' as const), fc.nat(30)), { maxLength: 300 })
  await fc.assert(
    fc.property(steps, (all) => {
      const slots = createSlots<string>()
      const model = new Map<number, string>()
      const given: number[] = []
      for (const [at, step] of all.entries()) {
        if (step === 'put') {
          const id = slots.put(`value ${at}`)
          if (given.includes(id)) throw new Error(`${id} was given before`)
          given.push(id)
          model.set(id, `value ${at}`)
        } else {
          const id = given[step] ?? -1
          slots.delete(id)
          model.delete(id)
        }
        expect(given.map((id) => slots.get(id))).toEqual(given.map((id) => model.get(id)))
      }
      expect(slots.values().sort()).toEqual([...model.values()].sort())
    }),
    runs(50),
  )
})

test('a number from elsewhere is taken when it is one and free', () => {
  const slots = createSlots<string>()
  const taken = [2 ** 20, 2 ** 20, 2 ** 21, -1, 0.5, Number.NaN, 2 ** 60, 3].map((id) => slots.take(id, `of ${id}`))
  expect(taken).toEqual([true, false, false, false, false, false, false, true])
  slots.delete(2 ** 20)
  expect([slots.get(2 ** 20), slots.take(2 ** 21, 'next'), slots.get(2 ** 20), slots.get(2 ** 21)]).toEqual([
    undefined,
    true,
    undefined,
    'next',
  ])
})

test('numbers from elsewhere come and go without end, and leave nothing behind', () => {
  const slots = createSlots<object>()
  const rounds = (from: number, times: number) => {
    for (let id = from; id < from + times * 2 ** 20; id += 2 ** 20) {
      slots.take(id, slots)
      slots.delete(id)
    }
  }
  rounds(0, 1_000)
  const before = memory().heap
  rounds(2 ** 30, 4_000_000)
  expect(memory().heap - before).toBeLessThan(8)
})
