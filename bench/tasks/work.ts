import type { Task } from '../../src/core/compute.ts'

export const nothing: Task = () => null

/** Says in shared memory that it runs, then keeps its core busy until it is ended. */
export const spin: Task<Int32Array, never> = (flag) => {
  Atomics.store(flag, 0, 1)
  Atomics.notify(flag, 0)
  for (;;) Math.sqrt(Math.random())
}
