import { ActorError } from '../core/errors.ts'
import type { Answer } from '../worker/compute-task.ts'
import { fromErrorData } from '../worker/error-data.ts'
import type { Order } from './compute-order.ts'
import type { Used } from './service.ts'

/** Why a task came to nothing. From `timeout` on it took its thread with it. */
export type Why = 'load' | 'threw' | 'result' | 'input' | 'aborted' | 'full' | 'start' | 'timeout' | 'out_of_memory' | 'exit' | 'crash'

const fatal: ReadonlySet<unknown> = new Set<Why>(['timeout', 'out_of_memory', 'exit', 'crash'])

/** Says what became of a task, with COMPUTE_FAILED. */
export function failure(
  { title }: Order,
  reason: Why,
  says: string,
  { cause, ...details }: { cause?: unknown; [key: string]: unknown } = {},
) {
  const options = { ...(cause !== undefined && { cause }), details: { task: title, reason, ...details } }
  return new ActorError('COMPUTE_FAILED', `The task ${title} ${says}`, options)
}

/** Whether a task's thread did not survive it. */
export function isFatal({ details }: ActorError): boolean {
  return fatal.has(details.reason)
}

/** What a task answered, for its caller. */
export function readAnswer(order: Order, answer: Answer): Used {
  if (answer.kind === 'done') return { value: answer.value, transfer: answer.moved }
  const cause = fromErrorData(answer.error)
  switch (answer.at) {
    case 'load':
      throw failure(order, 'load', `cannot be loaded: ${cause.message}`, { cause })
    case 'run':
      throw failure(order, 'threw', `threw ${cause.name}: ${cause.message}`, { cause })
    case 'result':
      throw failure(order, 'result', `gave what cannot cross to another thread: ${cause.message}`, { cause })
  }
}

/** What the pool said when there was no answer. */
export function readLoss(order: Order, thrown: unknown): ActorError {
  const { name, message, code } = thrown as NodeJS.ErrnoException
  const options = { cause: thrown }
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return failure(order, 'out_of_memory', "needed more than V8's own limit for its thread", options)
  if (name === 'DataCloneError') return failure(order, 'input', `was given what cannot cross to another thread: ${message}`, options)
  const [, exitCode] = /^worker exited with code: (\d+)$/.exec(message) ?? []
  if (exitCode !== undefined) return failure(order, 'exit', `ended its thread (exit code ${exitCode})`, options)
  return failure(order, 'crash', `ended its thread: ${name}: ${message}`, options)
}
