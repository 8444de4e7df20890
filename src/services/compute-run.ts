import type { Worker } from 'node:worker_threads'
import type { ActorError } from '../core/errors.ts'
import { longestTimer } from '../core/longest-timer.ts'
import type { Answer } from '../worker/compute-task.ts'
import { failure } from './compute-failure.ts'
import type { Order } from './compute-order.ts'
import type { Caller } from './service.ts'

/** One task on its way. */
export type Run = {
  readonly id: number
  readonly caller: Caller
  readonly order: Order
  readonly signal: AbortSignal
  readonly answer: Promise<Answer>
  /** Where it runs, once it does. */
  readonly worker: Worker | undefined
  /** Its answer is there, or nobody waits for it any more. */
  readonly isSettled: boolean
  settle(answer: Answer): void
  /** Has to have been taken by a thread within so many ms. */
  expect(limit: number): void
  /** There is no thread for it, if it waits for one. */
  lose(cause: Error): void
  /** A thread has it: its time runs. */
  begin(worker: Worker): void
  /** Its thread says that it is over; from then on only its answer may be missing. */
  end(): void
  /** Ends it, and the thread that runs it. */
  kill(reason: ActorError): void
  close(): void
}

export type RunOptions = Pick<Run, 'id' | 'caller' | 'order'> & {
  readonly until: AbortSignal
  /** Ends a thread that is of no use any more. */
  readonly discard: (worker: Worker) => void
}

/** Makes a run, which ends with its caller's signal. */
export function openRun({ id, caller, order, until, discard }: RunOptions): Run {
  const abort = new AbortController()
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  promise.catch(() => {}) // who is killed while it waits for a thread waits for no answer
  let worker: Worker | undefined
  let timer: NodeJS.Timeout | undefined
  let isSettled = false
  let phase: 'waiting' | 'expecting' | 'running' | 'over' = 'waiting'

  function kill(reason: ActorError): void {
    isSettled = true
    abort.abort(reason)
    reject(reason)
    if (phase === 'over' && worker) discard(worker) // the pool takes its thread for a free one
  }

  function allow(limit: number, reason: () => ActorError): void {
    clearTimeout(timer)
    timer = setTimeout(() => kill(reason()), Math.min(limit, longestTimer))
  }

  const onAbort = () => kill(failure(order, 'aborted', 'was given up by its caller'))
  until.addEventListener('abort', onAbort, { once: true })
  if (until.aborted) onAbort()

  return {
    id,
    caller,
    order,
    signal: abort.signal,
    answer: promise,
    get worker() {
      return worker
    },
    get isSettled() {
      return isSettled
    },
    settle(given) {
      isSettled = true
      until.removeEventListener('abort', onAbort)
      resolve(given)
    },
    expect(limit) {
      phase = 'expecting'
      allow(limit, () => failure(order, 'start', `got no thread within ${limit} ms`))
    },
    lose(cause) {
      if (phase === 'expecting') kill(failure(order, 'start', `got no thread: ${cause.message}`, { cause }))
    },
    begin(given) {
      phase = 'running'
      worker = given
      const { timeout } = order
      allow(timeout, () => failure(order, 'timeout', `took longer than ${timeout} ms`, { timeout }))
    },
    end() {
      phase = 'over'
    },
    kill,
    close() {
      clearTimeout(timer)
      until.removeEventListener('abort', onAbort)
    },
  }
}
