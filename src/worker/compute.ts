import type { Compute } from '../core/compute.ts'
import { ActorError } from '../core/errors.ts'
import { longestTimer } from '../core/longest-timer.ts'
import { checkNumber } from './checks.ts'
import type { Use } from './uses.ts'

/** Makes ctx.compute. */
export function createComputeClient(use: Use): Compute {
  async function compute(task: unknown, input: unknown, { timeout, signal, transfer = [] }: Parameters<Compute>[2] = {}) {
    checkNumber(timeout, 'The timeout of ctx.compute', { least: 1, most: longestTimer })
    const url = urlOf(task)
    try {
      // What is moved is named once more: the host has to know it, to move it on.
      return await use('compute', { task: url, input, timeout, transfer }, { signal, transfer })
    } catch (cause) {
      if (!(cause instanceof DOMException) || cause.name !== 'DataCloneError') throw cause
      throw new ActorError('COMPUTE_FAILED', `The input of ctx.compute cannot cross to another thread: ${cause.message}`, { cause })
    }
  }
  return compute as Compute
}

function urlOf(task: unknown): string {
  if (task instanceof URL) return task.href
  const expected = "expected new URL('./file.ts#name', import.meta.url)"
  throw new ActorError('BODY_INVALID', `The task of ctx.compute is ${JSON.stringify(String(task).slice(0, 80))}, ${expected}`)
}
