import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { isMainThread, parentPort, threadId } from 'node:worker_threads'
import type { Task } from '../../../src/core/compute.ts'

export const square: Task<number, number> = (n) => n * n

export const sum: Task<Float64Array, number> = (values) => values.reduce((total, value) => total + value, 0)

export const double: Task<Float64Array, Float64Array> = (values, { transfer }) => {
  const doubled = Float64Array.from(values, (value) => value * 2)
  return transfer(doubled, [doubled.buffer])
}

/** Whether what it gave away is still there: 0 bytes if it was moved. */
const given: { last?: Float64Array<ArrayBuffer> } = {}
export const give: Task<{ isMoved: boolean }, Float64Array> = ({ isMoved }, { transfer }) => {
  given.last = new Float64Array(1_000)
  return isMoved ? transfer(given.last, [given.last.buffer]) : given.last
}
export const kept: Task<null, number | undefined> = () => given.last?.byteLength

/** Linux tells each thread its own. */
export const niceness: Task = () =>
  Number(
    readFileSync('/proc/thread-self/stat', 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[16],
  )

export const where: Task<null, unknown> = () => ({
  isMainThread,
  threadId,
  env: Object.keys(process.env).sort(),
  execArgv: process.execArgv,
})

export const fail: Task<null, never> = () => {
  throw Object.assign(new RangeError('out of the blue', { cause: new Error('the sky') }), { code: 'E_BLUE' })
}

export const uncloneable: Task = () => ({ f: () => 1 })
export const exit: Task<number, never> = (code) => process.exit(code)
export const say: Task<string> = (text) => {
  process.stdout.write(`${text}\n`)
}
export const mute: Task = () => parentPort?.close()
export const silent: Task = () => new Promise(() => {})
export const notAFunction = 3

/** Says in shared memory that it runs, then keeps its core busy. */
export const spin: Task<Int32Array, never> = (flag) => {
  Atomics.store(flag, 0, 1)
  Atomics.notify(flag, 0)
  for (;;) Math.sqrt(2)
}

/** Makes a file, and from then on cannot be interrupted for a while. */
export const sleep: Task<string> = (file) => {
  execFileSync('/bin/sh', ['-c', `: > '${file}'; sleep 3`])
}

/** Throws when nobody waits for it any more. */
export const leave: Task = () => {
  void setTimeout(1).then(() => {
    throw new Error('left behind')
  })
}

const hoard: unknown[] = []
const shapes = {
  array: () => hoard.push(1, 2, 3, 4, 5, 6, 7, 8),
  objects: () => hoard.push({ a: hoard.length }),
  buffers: () => hoard.push(Buffer.alloc(2 ** 20, 1)),
  strings: () => hoard.push(`${hoard.length}`.repeat(100)),
  dictionary: () => Object.assign(hoard, { [`key ${Math.random()}`]: 1 }),
}
export type Shape = keyof typeof shapes
export const grow: Task<Shape, never> = (shape) => {
  for (;;) shapes[shape]()
}
