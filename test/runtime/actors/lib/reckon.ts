import type { Task } from 'troupe/actor'
import { two } from './two.ts'

export const square: Task<number, number> = (n) => n ** two

export const halve: Task<Float64Array, Float64Array> = (values, { transfer }) => {
  const halves = Float64Array.from(values, (value) => value / two)
  return transfer(halves, [halves.buffer])
}

export const spin: Task = () => {
  for (;;) Math.sqrt(two)
}

export const fail: Task = () => {
  throw new RangeError('too much')
}
